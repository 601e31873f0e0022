//! What is wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1; `None` if it is about something that is not there.
    pub line: Option<usize>,
    /// The key; empty for errors of syntax.
    pub key: String,
    /// Its value as the file has it, passwords redacted.
    pub value: Option<String>,
    /// Why it is refused, and what would be accepted.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        match (self.key.as_str(), &self.value) {
            ("", _) => f.write_str(&self.why),
            (key, Some(value)) => write!(f, "{key} = {value}: {}", self.why),
            (key, None) => write!(f, "{key}: {}", self.why),
        }
    }
}

/// Why no settings came of a file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// These things are wrong with it; the list is complete.
    #[error("{} in the configuration{}", count(problems.len()), list(problems))]
    Wrong {
        /// All of them, in the order of the file.
        problems: Vec<Problem>,
    },
}

fn count(number: usize) -> String {
    if number == 1 {
        "1 problem".to_owned()
    } else {
        format!("{number} problems")
    }
}

fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .flat_map(|problem| ["\n  ".to_owned(), problem.to_string()])
        .collect()
}
