//! Among backends of several kinds, those whose nodes agree on a commit before it is acknowledged come first: only on them is what was
//! acknowledged still there when a node dies.

use baton_selector_sdk::{
    BackendSelector, Keeping, Move, Node, SelectQuestion, Selection, Settings, Standing,
    export_selector,
};

const FIVE_MINUTES_MS: u32 = 300_000;

struct BackendPreferSynchronous {
    keeping: Keeping,
}

/// How much survives the death of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Safety {
    Synchronous,
    Asynchronous,
    OneCopy,
    Unknown,
}

impl Safety {
    fn of(node: &Node) -> Self {
        match node.kind.as_str() {
            "galera" | "ndb" | "group-replication" => Self::Synchronous,
            "master-master" => Self::Asynchronous,
            "sqlite" => Self::OneCopy,
            _ => Self::Unknown,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Synchronous => "synchronous: what is acknowledged survives a node",
            Self::Asynchronous => "asynchronous: a node's last writes can be lost with it",
            Self::OneCopy => "a single copy",
            Self::Unknown => "of a kind this selector does not know",
        }
    }
}

impl BackendSelector for BackendPreferSynchronous {
    const NAME: &str = "backend-prefer-synchronous";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &str =
        "NDB, Galera and Group Replication before master-master; goes back to them when healthy";

    fn configure(settings: &mut Settings) -> Self {
        Self {
            keeping: Keeping::configure(settings, Some(FIVE_MINUTES_MS)),
        }
    }

    fn select(&self, question: &SelectQuestion) -> Result<Selection, String> {
        let standing = |node: &Node| Standing {
            order: Safety::of(node),
            why: format!("{}, which is {}", node.kind, Safety::of(node).words()),
        };
        Ok(self.keeping.select(question, standing, |here, other| {
            let (worse, safer) = (Safety::of(here), Safety::of(other));
            if safer < worse {
                let (kind, present) = (&other.kind, &here.kind);
                Move::When(format!(
                    "{kind} is {}; {present} is {}",
                    safer.words(),
                    worse.words()
                ))
            } else {
                Move::Stay
            }
        }))
    }
}

export_selector!(BackendPreferSynchronous);
