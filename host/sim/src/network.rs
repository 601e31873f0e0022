//! Who reaches whom. Names: a server's address, a node, or a node of the backend.

use std::collections::BTreeSet;
use std::fmt;

/// A Baton node, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "baton-{}", self.0)
    }
}

/// One server has a second name, which Baton is told, too.
pub(crate) const SECOND_NAME: &str = "db2";
/// The host that the second name leads to.
pub(crate) const SECOND_NAME_OF: &str = "s2";

/// Cut links, in both directions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    cut: BTreeSet<(String, String)>,
}

impl Network {
    fn key(a: &str, b: &str) -> (String, String) {
        if a < b {
            (a.to_owned(), b.to_owned())
        } else {
            (b.to_owned(), a.to_owned())
        }
    }

    /// Cuts the link between two.
    pub(crate) fn cut(&mut self, a: &str, b: &str) {
        self.cut.insert(Self::key(a, b));
    }

    /// Heals everything.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    /// True if packets pass.
    pub(crate) fn passes(&self, a: &str, b: &str) -> bool {
        self.cut.is_empty() || !self.cut.contains(&Self::key(a, b))
    }

    /// True if packets pass between a node and somebody.
    pub(crate) fn reaches(&self, node: NodeId, other: &impl fmt::Display) -> bool {
        self.cut.is_empty() || self.passes(&node.to_string(), &other.to_string())
    }
}
