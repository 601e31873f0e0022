//! Log lines: to standard error, as text for people or as one JSON object a line.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{LogFormat, LogSettings};

/// The environment variable that goes before `log.filter`.
pub const FILTER_VARIABLE: &str = "BATON_LOG";

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The variable is set and no filter.
    #[error("the environment variable {FILTER_VARIABLE} has {text:?}, which is no log filter")]
    Filter {
        /// Its value.
        text: String,
        /// Cause.
        #[source]
        source: ParseError,
    },
    /// Somebody set it up before.
    #[error("logging is set up already")]
    Twice,
}

/// Sets logging up for the whole process, once.
///
/// # Errors
/// Refuses a filter that does not parse.
pub fn init(settings: &LogSettings) -> Result<(), TelemetryError> {
    let filter = filter(settings, std::env::var(FILTER_VARIABLE).ok())?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let done = match settings.format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colours).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| TelemetryError::Twice)
}

fn filter(settings: &LogSettings, variable: Option<String>) -> Result<EnvFilter, TelemetryError> {
    let text = variable
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| settings.filter.clone());
    EnvFilter::try_new(&text).map_err(|source| TelemetryError::Filter { text, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_goes_before_the_file() {
        let settings = LogSettings {
            format: LogFormat::Text,
            filter: "warn".into(),
        };
        let text = |variable: Option<&str>| {
            filter(&settings, variable.map(Into::into))
                .map(|filter| filter.to_string())
                .map_err(|e| e.to_string())
        };
        assert_eq!(text(None), Ok("warn".into()));
        assert_eq!(text(Some("")), Ok("warn".into()));
        assert_eq!(
            text(Some("baton_mysql=debug")),
            Ok("baton_mysql=debug".into())
        );
        assert!(text(Some("a=b=c")).is_err());
    }
}
