//! Longest texts of the key columns, in characters, as the schema states them. Some engines cut
//! longer ones off or compare only their beginning, so they are refused before they get there.

use crate::failure::Refusal;

/// Names people or programs give: clusters, nodes, recoveries, users.
pub(crate) const NAME_MAX: usize = 190;
/// Server identities: a host of 255, a colon and a port, with brackets.
pub(crate) const SERVER_MAX: usize = 263;
/// Lease names.
pub(crate) const LEASE_MAX: usize = 64;
/// Stable words.
pub(crate) const WORD_MAX: usize = 64;
/// Route keys.
pub(crate) const ROUTE_MAX: usize = 255;

/// Refuses a text that does not fit into its column.
pub(crate) fn require_short(what: &str, text: &str, max: usize) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length <= max {
        return Ok(());
    }
    Err(Refusal::Conflict(format!(
        "{what} has {length} characters, more than the {max} that can be stored"
    )))
}
