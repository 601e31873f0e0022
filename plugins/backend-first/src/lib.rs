//! The default selector: the first node of the configured order that can be used, as HAProxy's `balance first` takes the first server
//! that is up. Unlike there, up means that the host's rules of the node's kind hold, and a node in use is kept while they do.
//!
//! Going back to an earlier node is off by default: a change costs the statements in flight, and the same order on every Baton node
//! keeps all writers on one database node anyway.

use baton_selector_sdk::{
    BackendSelector, Keeping, Move, SelectQuestion, Selection, Settings, Standing, export_selector,
};

struct BackendFirst {
    keeping: Keeping,
}

impl BackendSelector for BackendFirst {
    const NAME: &str = "backend-first";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &str =
        "The first ready node in the configured order; stays with it while it is usable";

    fn configure(settings: &mut Settings) -> Self {
        Self {
            keeping: Keeping::configure(settings, None),
        }
    }

    fn select(&self, question: &SelectQuestion) -> Result<Selection, String> {
        let place = |id: &str| question.nodes.iter().position(|node| node.id == id);
        let standing = |_: &_| Standing {
            order: (),
            why: "the first in the configured order that can be used".to_owned(),
        };
        Ok(self.keeping.select(question, standing, |here, other| {
            if place(&other.id) < place(&here.id) {
                Move::When("it comes earlier in the configured order".to_owned())
            } else {
                Move::Stay
            }
        }))
    }
}

export_selector!(BackendFirst);
