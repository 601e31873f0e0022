//! Dense, ordered numbers. Engines' own (auto-increment) are neither dense nor ordered on clusters.

use crate::failure::Failure;
use crate::session::Session;
use crate::value::values;

const ADVANCE: &str = "UPDATE baton_sequence SET value = value + ? WHERE name = ?";
const FIND: &str = "SELECT value FROM baton_sequence WHERE name = ?";

/// Which numbers.
#[derive(Clone, Copy)]
pub(crate) enum Sequence {
    Recovery,
    Step,
    Audit,
    Opening,
}

impl Sequence {
    fn name(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Step => "step",
            Self::Audit => "audit",
            Self::Opening => "opening",
        }
    }
}

/// Takes `count` numbers; gives the first.
pub(crate) async fn take(
    session: &mut dyn Session,
    sequence: Sequence,
    count: u32,
) -> Result<i64, Failure> {
    let name = sequence.name();
    session.execute(ADVANCE, values![count, name]).await?;
    let rows = session.fetch(FIND, values![name]).await?;
    let Some(mut row) = rows.into_iter().next() else {
        return Err(Failure::missing_row("baton_sequence.value"));
    };
    Ok(row.integer("baton_sequence.value")? - i64::from(count) + 1)
}
