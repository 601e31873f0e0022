//! Which database node Baton's own state is used on now: published by the watch over the backend,
//! followed by the store.

use std::fmt;

use baton_core::policy::backend::BackendKind;

/// The node to use.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Identity of the node: `<backend>/<host:port>`.
    pub node_id: String,
    /// `mysql://user:secret@host:port/database`. Never print it.
    pub url: String,
    /// Kind of its backend.
    pub kind: BackendKind,
    /// Grows with each published choice, also when the same node is chosen again: sessions of an
    /// older one are not used any more.
    pub generation: u64,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("node_id", &self.node_id)
            .field("url", &"<redacted>")
            .field("kind", &self.kind)
            .field("generation", &self.generation)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_printed() {
        let target = Target {
            node_id: "state/db1:3306".into(),
            url: "mysql://baton:s3cret@db1:3306/baton".into(),
            kind: BackendKind::Galera,
            generation: 1,
        };
        assert!(!format!("{target:?}").contains("s3cret"));
    }
}
