//! Who reaches whom. Names: a server's address, or `baton` for the node.

use std::collections::BTreeSet;

/// Name of the Baton node on the network.
pub(crate) const BATON: &str = "baton";
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
        !self.cut.contains(&Self::key(a, b))
    }
}
