//! Errors as one line of text, for logs and for the command line.

use std::error::Error;

/// An error with its causes. A cause that the text has already, because the error above it quotes
/// it, is not said twice.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Option<Box<Layer>> {
        let (text, below) = texts.split_first()?;
        Some(Box::new(Layer {
            text,
            source: layers(below),
        }))
    }

    #[test]
    fn causes_follow_and_none_is_said_twice() {
        let error = layers(&["open the state: disk full", "disk full", "os error 28"]);
        assert_eq!(
            chain(&error.unwrap()),
            "open the state: disk full: os error 28"
        );
    }
}
