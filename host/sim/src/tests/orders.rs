//! Operators' orders, beside what a node reads by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_control::{Control, Handle};
use baton_core::ids::ServerId;
use baton_core::model::Downtime;
use baton_core::time::WallTime;

use super::{end, quiet};

fn is_downtimed(handle: &Handle, server: &ServerId) -> bool {
    let views = handle.clusters();
    let found = views
        .iter()
        .find_map(|view| view.snapshot.servers.get(server));
    found.is_some_and(|found| found.downtime.is_some())
}

/// A reading of the store that began before a downtime was set, and ended after that had been
/// answered, took it back for a second: time enough to fail over from a server that a person was
/// working on.
#[test]
fn a_reading_from_before_an_order_takes_nothing_back() {
    let mut run = quiet();
    let acting = run.actor().map(|(node, _)| node.id).expect("a node acts");
    run.world
        .change(|state| state.late_reading = Some((acting, 200)));
    assert!(run.pass_until(5_000, |run| run.world.lock().late_reading.is_none()));
    let (node, handle) = run.actor().expect("a node acts");
    let views = handle.clusters();
    let server = views[0]
        .snapshot
        .servers
        .keys()
        .next()
        .cloned()
        .expect("a server");
    let answered = Arc::new(AtomicBool::new(false));
    let (teller, orderer, target) = (Arc::clone(&answered), Arc::clone(&handle), server.clone());
    node.spawn(async move {
        let downtime = Downtime {
            owner: "a person".to_owned(),
            reason: "at work".to_owned(),
            begins: WallTime::from_millis(0),
            ends: WallTime::from_millis(u64::MAX / 2),
        };
        let set = orderer.set_downtime(&target, Some(downtime), "a person");
        teller.store(set.await.is_ok(), Ordering::Relaxed);
    });
    assert!(run.pass_until(1_000, |_| answered.load(Ordering::Relaxed)));
    // What is published follows within some milliseconds.
    run.pass(50);
    for moment in 0..2_000 {
        run.pass(1);
        assert!(
            is_downtimed(&handle, &server),
            "taken back after {moment} ms"
        );
    }
    drop(handle);
    end(run);
}
