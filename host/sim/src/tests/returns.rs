//! Servers of a pair that die and return one after the other, and what people do beside Baton.

use baton_control::Control;
use baton_core::ids::Address;

use super::{end, quiet_with};
use crate::run::{Run, address};
use crate::server::SimServer;

fn kill(run: &Run, server: &Address) {
    run.world
        .change(|state| crate::connections::kill(state, server));
}

fn start(run: &Run, server: &Address) {
    run.world.change(|state| {
        let now = state.now;
        if let Some(server) = state.servers.get_mut(server) {
            server.start(now);
        }
    });
}

fn takes_writes(run: &Run, server: &Address) -> bool {
    let state = run.world.lock();
    state
        .servers
        .get(server)
        .is_some_and(SimServer::takes_writes)
}

fn follows(run: &Run, replica: &Address, source: &Address) -> bool {
    let state = run.world.lock();
    let channel = state
        .servers
        .get(replica)
        .and_then(|server| server.channel.as_ref());
    channel.is_some_and(|channel| channel.source == *source && channel.connected)
}

fn is_whole(run: &Run) {
    let state = run.world.lock();
    assert!(
        state.violations.is_empty(),
        "{:?} {:#?}",
        state.violations,
        state.tale
    );
}

/// A died, B took writes, B died, A returns alone, in its file writable or not; then B returns,
/// read-only as its file says.
#[test]
fn the_successor_is_waited_for_and_opened_again() {
    for writable in [true, false] {
        let mut run = quiet_with(1);
        let (a, b) = (address(1), address(2));
        run.world.change(|state| {
            if let Some(server) = state.servers.get_mut(&a) {
                server.starts_read_only = !writable;
            }
        });
        kill(&run, &a);
        assert!(run.pass_until(30_000, |run| takes_writes(run, &b)));
        run.pass(5_000);
        kill(&run, &b);
        run.pass(2_000);
        start(&run, &a);
        let closed = run.pass_until(3_000, |run| !takes_writes(run, &a));
        assert!(closed, "what is on record as replaced is closed");
        run.pass(20_000);
        assert!(!takes_writes(&run, &a), "and is not opened instead");
        start(&run, &b);
        let opened = run.pass_until(15_000, |run| takes_writes(run, &b));
        assert!(opened, "{:#?}", run.world.lock().tale);
        let whole = run.pass_until(90_000, |run| follows(run, &a, &b));
        // What clients wrote on it before it was closed is listed, not dropped.
        assert!(whole || writable, "{:#?}", run.world.lock().tale);
        is_whole(&run);
        end(run);
    }
}

/// The power fails; the servers come back in either order.
#[test]
fn a_pair_is_served_again_after_a_power_failure_in_any_order() {
    for order in [[1, 2], [2, 1]] {
        let mut run = quiet_with(1);
        for server in order {
            kill(&run, &address(server));
        }
        run.pass(5_000);
        for server in order {
            start(&run, &address(server));
            run.pass(3_000);
        }
        let served = run.pass_until(30_000, |run| {
            takes_writes(run, &address(1)) || takes_writes(run, &address(2))
        });
        assert!(served, "{:#?}", run.world.lock().tale);
        is_whole(&run);
        end(run);
    }
}

/// A person closes the primary: nobody opens it, or anybody else.
#[test]
fn what_a_person_closed_stays_closed() {
    let mut run = quiet_with(1);
    run.world.change(|state| {
        if let Some(server) = state.servers.get_mut(&address(1)) {
            server.read_only = true;
        }
    });
    run.pass(30_000);
    assert!(!takes_writes(&run, &address(1)) && !takes_writes(&run, &address(2)));
    end(run);
}

/// A person opens a replica by hand beside the primary: it stays open, and is adopted once the
/// primary is closed.
#[test]
fn a_replica_that_a_person_promotes_is_adopted_once_the_primary_is_closed() {
    let mut run = quiet_with(2);
    run.world.change(|state| {
        state.client.stopped = true;
        if let Some(server) = state.servers.get_mut(&address(2)) {
            (server.read_only, server.channel) = (false, None);
        }
    });
    run.pass(10_000);
    assert!(takes_writes(&run, &address(2)), "nobody closes it");
    run.world.change(|state| {
        if let Some(server) = state.servers.get_mut(&address(1)) {
            server.read_only = true;
        }
    });
    let adopted = run.pass_until(10_000, |run| {
        let (_, handle) = run.actor().expect("one acts");
        let views = handle.clusters();
        let mut primaries = views
            .iter()
            .filter_map(|view| view.snapshot.cluster.primary.clone());
        primaries.any(|id| id.as_str() == address(2).to_string())
    });
    assert!(adopted, "{:#?}", run.world.lock().tale);
    assert!(takes_writes(&run, &address(2)) && !takes_writes(&run, &address(1)));
    end(run);
}
