//! What is published while a recovery is under way.

use baton_control::{Control, Handle};
use baton_core::ids::Address;

use super::{end, quiet_with};
use crate::run::address;

/// Whether a recovery is under way, and whether `server` answers, as published.
fn published(handle: &Handle, server: &Address) -> Option<(bool, bool)> {
    let views = handle.clusters();
    let snapshot = &views.first()?.snapshot;
    let mut servers = snapshot.servers.values();
    let server = servers.find(|found| found.address == *server)?;
    let answers = server.answers();
    Some((snapshot.control.active.is_some(), answers))
}

/// A failover whose candidates apply what they received for a long time.
#[test]
fn a_cluster_goes_on_being_published_while_a_recovery_is_under_way() {
    let mut run = quiet_with(3);
    let (primary, other) = (address(1), address(4));
    run.world.change(|state| {
        for (at, server) in &mut state.servers {
            if *at != primary {
                server.apply_rate = 0;
            }
        }
    });
    run.pass(2_000);
    run.world
        .change(|state| crate::connections::kill(state, &primary));
    let (_, handle) = run.actor().expect("a node acts");
    let is_under_way = run.pass_until(5_000, |_| published(&handle, &other) == Some((true, true)));
    assert!(is_under_way, "{:?}", published(&handle, &other));
    run.world
        .change(|state| crate::connections::kill(state, &other));
    let is_seen = run.pass_until(5_000, |_| published(&handle, &other) == Some((true, false)));
    assert!(is_seen, "{:?}", published(&handle, &other));
    run.world.change(|state| {
        for server in state.servers.values_mut() {
            server.apply_rate = 100;
        }
    });
    drop(handle);
    end(run);
}
