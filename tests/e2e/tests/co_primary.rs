//! Two servers that replicate from each other, one of them writable.

use anyhow::Result;
use baton_e2e::{
    Bed, BedOptions, LIMIT, both_flavors, require_nothing_lost, require_one_writable,
    wait_for_replication, wait_for_successor, word,
};
use baton_sandbox::Flavor;

/// The passive one dies: its replicas find a new source, writes go on. It comes back, and the
/// active one dies: it is replaced, and its replica follows.
fn co_primaries(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions {
        sketch: "p1 <- p2 writable\np2 <- p1\nr1 <- p1\nr2 <- p2\nr3 <- p2".to_owned(),
        ..BedOptions::new("co-primary", flavor)
    })?;
    assert_eq!(
        bed.cluster()?.1,
        Some(bed.topology["p1"].address().to_string())
    );
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;

    bed.topology["p2"].kill9()?;
    let moved = bed.wait_for_recovery("intermediate-failover", LIMIT)?;
    assert_eq!(word(&moved, "outcome"), "succeeded", "{moved}");
    wait_for_replication(&bed, &["r1", "r2", "r3"])?;
    assert_eq!(require_one_writable(&bed)?.name(), "p1");
    writer.wait_for_rows(100, LIMIT)?;

    bed.topology["p2"].restart()?;
    bed.wait_for_discovery(5)?;
    wait_for_replication(&bed, &["p2"])?;
    bed.topology["p1"].kill9()?;
    wait_for_successor(&bed, &writer, "p1")?;
    let failover = bed.wait_for_recovery("co-primary-failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    let names = ["p2", "r1", "r2", "r3"];
    let successor = require_one_writable(&bed)?.name();
    let others: Vec<&str> = names.into_iter().filter(|n| *n != successor).collect();
    wait_for_replication(&bed, &others)?;
    writer.wait_for_rows(100, LIMIT)?;
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

both_flavors!(
    a_dead_passive_co_primary_and_then_a_dead_active_one,
    super::co_primaries
);
