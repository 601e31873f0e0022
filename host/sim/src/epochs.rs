//! Epochs, where a whole story would not bring the coincidence about.

use baton_control::Control as _;
use baton_core::ids::LeaseEpoch;

use crate::backend::{BACKENDS, BackendKind};
use crate::network::NodeId;
use crate::run::Run;
use crate::scenario::{First, Scenario};

fn epoch_of(run: &Run, id: NodeId) -> Option<LeaseEpoch> {
    let node = run.nodes.iter().find(|node| node.id == id);
    node.and_then(|node| node.handle()?.node().lease)
}

/// With real servers, two nodes acted under one epoch and forked a cluster: the lease had changed hands, a node that had not heard from the
/// store since stood in for the new leader, which was frozen, and took the next epoch after the last that the store had told it.
#[test]
fn who_stands_in_never_repeats_the_epoch_of_a_peer() {
    let scenario = Scenario {
        seed: 7,
        replicas: 2,
        below: 0,
        nodes: 3,
        backend: BackendKind::Synchronous,
        first: First::KillPrimary,
        trap: None,
    };
    let mut run = Run::new(&scenario);
    assert!(run.pass_until(15_000, |run| run.actor().is_some()));
    run.pass(4_000);
    let first = run.actor().map(|(node, _)| node.id).expect("one leads");
    let mut others = run.nodes.iter().map(|node| node.id);
    let mut others = others.by_ref().filter(|id| *id != first);
    let second = others.next().expect("a second node");
    let third = others.next().expect("a third node");
    // The third hears its peers, and the store no more.
    run.world.change(|state| {
        for backend in BACKENDS {
            state.network.cut(&third.to_string(), backend);
        }
    });
    let next = run.nodes.iter().find(|node| node.id == second);
    let next = next.expect("the second node");
    let handle = next.handle().expect("it runs");
    next.spawn(async move { drop(handle.grab_election("test").await) });
    assert!(run.pass_until(10_000, |run| epoch_of(run, second).is_some()));
    let led = epoch_of(&run, second).expect("the second node leads");
    run.pass(500);
    // The store goes, the leader is frozen, and the one that knows its epoch from the store is gone.
    run.world.change(|state| state.backend.go_away(u64::MAX));
    for node in &mut run.nodes {
        if node.id == second {
            node.freeze();
        } else if node.id == first {
            node.kill();
        }
    }
    assert!(run.pass_until(60_000, |run| epoch_of(run, third).is_some()));
    let stands_in = epoch_of(&run, third).expect("the third node stands in");
    assert!(stands_in > led, "{stands_in:?} after {led:?}");
    for node in &mut run.nodes {
        node.kill();
    }
}
