//! Why the host of policies could not be started.

use crate::engine::EngineError;
use crate::load::LoadError;

/// Why the policies could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The policy is refused.
    #[error("cannot load the policy {plugin}")]
    Load {
        /// What the configuration names.
        plugin: String,
        /// Why it is refused.
        #[source]
        source: LoadError,
    },
}

impl StartError {
    /// One line for each thing that is wrong: every setting the policy refuses, or the one reason
    /// there is.
    pub fn problems(&self) -> Vec<String> {
        if let Self::Load {
            source: LoadError::Settings { policy, problems },
            ..
        } = self
        {
            return problems
                .iter()
                .map(|problem| format!("{policy}: {problem}"))
                .collect();
        }
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        vec![line]
    }
}
