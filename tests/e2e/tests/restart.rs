//! Baton dies while it acts, and is started again on the same store.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use baton_e2e::{
    Bed, BedOptions, LIMIT, both_flavors, require_nothing_lost, require_one_writable, word,
};
use baton_sandbox::Flavor;
use serde_json::Value;

/// Deaths in one test.
const ROUNDS: u32 = 2;
/// A failover takes some 60 ms on an idle machine, several times that on a busy one.
const SPAN_MICROS: u64 = 250_000;

/// At any moment after the primary's death: before the loss is noticed, between any two steps,
/// after the last.
fn die_and_finish(flavor: Flavor) -> Result<()> {
    let mut bed = Bed::start(&BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1\nr3 <- p1\nr4 <- p1".to_owned(),
        // Several failovers of one cluster follow each other.
        config: "[policy.failover.settings]\ncooldown-ms = 0".to_owned(),
        ..BedOptions::new("restart", flavor)
    })?;
    let writer = bed.writer()?;
    let mut random = seed();
    println!("seed {random}");
    for round in 0..ROUNDS {
        writer.wait_for_rows(50, LIMIT)?;
        let old = require_one_writable(&bed)?.name().to_owned();
        random = next(random);
        let moment = Duration::from_micros(random % SPAN_MICROS);
        bed.topology[old.as_str()].kill9()?;
        thread::sleep(moment);
        bed.baton()?.kill9()?;
        bed.start_baton()?;
        bed.wait("a successor takes writes", LIMIT, || {
            bed.only_writable()
                .is_some_and(|server| server.name() != old)
        })?;
        bed.wait("every recovery ended", LIMIT, || {
            bed.recoveries()
                .is_ok_and(|rows| !rows.is_empty() && rows.iter().all(ended))
        })?;
        println!("round {round}: killed {moment:?} after the primary");
        writer.wait_for_rows(50, LIMIT)?;
        bed.topology[old.as_str()].restart()?;
        // What it had written and nobody had received decides whether it may follow.
        bed.wait("the old primary was taken back or set aside", LIMIT, || {
            let server = &bed.topology[old.as_str()];
            let replicates = server.is_replicating().unwrap_or(false);
            !server.is_writable().unwrap_or(true) && (replicates || is_set_aside(&bed, &old))
        })?;
    }
    require_nothing_lost(&bed, writer)?;
    bed.wait("the last rejoin ended", LIMIT, || {
        bed.recoveries().is_ok_and(|rows| rows.iter().all(ended))
    })?;
    Ok(())
}

both_flavors!(
    a_node_killed_at_any_moment_finishes_what_it_began,
    super::die_and_finish
);

fn ended(row: &Value) -> bool {
    word(row, "outcome") != "running"
}

fn is_set_aside(bed: &Bed, name: &str) -> bool {
    let address = bed.topology[name].address().to_string();
    bed.recoveries().unwrap_or_default().iter().any(|row| {
        word(row, "kind") == "rejoin"
            && row.to_string().contains("that the primary lacks")
            && word(&row["failed"], "address") == address
    })
}

fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(1, |since| since.subsec_nanos().into())
}

/// The next of a row of numbers that look random (Knuth's MMIX constants), its low bits left out.
fn next(state: u64) -> u64 {
    state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
        .rotate_right(29)
}
