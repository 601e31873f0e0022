//! Whether enough servers remain to acknowledge what a primary commits.

use crate::ids::ServerId;
use crate::model::{Server, Snapshot};

/// Says that fewer members could acknowledge to `primary` than it would wait for, and which: its
/// commits hang until more do. `without` are members that are not counted any more.
pub fn too_few_acknowledgers(
    snapshot: &Snapshot,
    primary: &ServerId,
    without: &[&ServerId],
) -> Option<String> {
    let semi = snapshot.facts(primary)?.semi_sync.as_ref()?;
    let wait_for = usize::try_from(semi.wait_for.max(1)).unwrap_or(usize::MAX);
    let could = |server: &&Server| {
        let semi = server
            .last_facts()
            .and_then(|facts| facts.semi_sync.as_ref());
        server.id != *primary
            && !without.contains(&&server.id)
            && !server.quarantined
            && server.answers()
            && semi.is_some_and(|semi| semi.replica_enabled)
    };
    let servers = snapshot.servers.values().filter(could);
    let names: Vec<&str> = servers.map(|server| server.id.as_str()).collect();
    (names.len() < wait_for).then(|| {
        let who = match names.as_slice() {
            [] => "no member that answers gives any".to_owned(),
            [one] => format!("only {one} gives one"),
            several => format!("only {} give one each", several.join(", ")),
        };
        format!("{primary} waits for {wait_for} acknowledgements of each commit, and {who}: commits hang until more do")
    })
}

#[cfg(test)]
mod tests {
    use super::too_few_acknowledgers;
    use crate::ids::ServerId;
    use crate::sketch;

    /// Old primaries were set aside one after the other, until the last one waited for nobody for
    /// ever.
    #[test]
    fn acknowledgers_that_remain_are_counted() {
        let text = |wait_for| {
            format!(
                "p1 primary ss=source wait_for={wait_for}
                 r1 ss=replica <- p1
                 r2 ss=replica <- p1
                 r3 silent ss=replica <- p1
                 r4 quarantined ss=replica
                 r5 <- p1"
            )
        };
        let primary = ServerId::new("p1");
        let said = |wait_for, without: &[&ServerId]| {
            too_few_acknowledgers(&sketch::snapshot(&text(wait_for)), &primary, without)
        };
        assert_eq!(said(2, &[]), None);
        insta::assert_snapshot!(said(3, &[]).unwrap_or_default(), @"p1 waits for 3 acknowledgements of each commit, and only r1, r2 give one each: commits hang until more do");
        let (r1, r2) = (ServerId::new("r1"), ServerId::new("r2"));
        insta::assert_snapshot!(said(2, &[&r1]).unwrap_or_default(), @"p1 waits for 2 acknowledgements of each commit, and only r2 gives one: commits hang until more do");
        insta::assert_snapshot!(said(1, &[&r1, &r2]).unwrap_or_default(), @"p1 waits for 1 acknowledgements of each commit, and no member that answers gives any: commits hang until more do");
    }
}
