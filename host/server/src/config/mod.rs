//! The configuration file: read once, checked in full, turned into settings.
//!
//! One table (`keys`) describes every key; from it come the reader, the checks, the defaults and
//! `docs/configuration.md`.

mod databases;
mod document;
mod key;
mod keys;
mod problem;
mod reference;
mod replication_tls;
mod rule;
mod sections;
mod settings;
#[cfg(test)]
mod tests;
mod value;

use std::io;
use std::path::Path;

pub use problem::{ConfigError, Problem};
pub use reference::reference;
pub use settings::{
    Account, AnalysisLimits, BackendSettings, ClusterHint, CommitProbeSettings, HttpSettings,
    HttpUser, LogFormat, LogSettings, NodeSettings, PluginSource, PolicySettings, Queries,
    RecoverySettings, RejoinMode, ReplicationTls, ReplicationTlsMode, ServerHint, Settings, Tls,
    TlsMode, TopologySettings,
};

/// What a configuration refers to outside its file.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Value of an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Content of a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// True for a directory that exists.
    pub is_dir: &'a dyn Fn(&Path) -> bool,
    /// Loads a failover policy with its settings; what is wrong with them, if anything.
    pub policy: &'a PolicyJudge<'a>,
    /// The same for a backend selector.
    pub selector: &'a PolicyJudge<'a>,
}

/// Loads a component with its settings; what is wrong with them, if anything.
pub type PolicyJudge<'a> =
    dyn Fn(&PluginSource, &serde_json::Value) -> Result<(), Vec<String>> + 'a;

/// Reads and checks a configuration file, with the environment and the files it refers to. Changes
/// nothing.
///
/// # Errors
/// Lists every problem, not the first.
pub fn load(
    path: &Path,
    policy: &PolicyJudge<'_>,
    selector: &PolicyJudge<'_>,
) -> Result<Settings, ConfigError> {
    let text = std::fs::read(path)
        .and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        })
        .map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    let around = Surroundings {
        env: &|name| std::env::var(name).ok(),
        read: &|path| std::fs::read(path),
        is_dir: &|path| path.is_dir(),
        policy,
        selector,
    };
    parse(&text, &around)
}

/// Checks the text of a configuration.
///
/// # Errors
/// Lists every problem, not the first.
pub fn parse(text: &str, around: &Surroundings<'_>) -> Result<Settings, ConfigError> {
    let mut document = document::Document::read(text);
    let settings = sections::build(&mut document, around);
    let mut problems = document.problems;
    if problems.is_empty() {
        return Ok(settings);
    }
    problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
    Err(ConfigError::Wrong { problems })
}
