//! Epochs, where a whole story would not bring the coincidence about.

use baton_control::Control as _;
use baton_core::ids::LeaseEpoch;

use super::{end, quiet};
use crate::backend::BACKENDS;
use crate::network::NodeId;
use crate::run::Run;

fn epoch_of(run: &Run, id: NodeId) -> Option<LeaseEpoch> {
    let node = run.nodes.iter().find(|node| node.id == id);
    node.and_then(|node| node.handle()?.node().lease)
}

/// Three nodes of which one leads, with names for them: who leads, and the two others.
fn three() -> (Run, [NodeId; 3]) {
    let run = quiet();
    let first = run.actor().map(|(node, _)| node.id).expect("one leads");
    let others: Vec<NodeId> = run.nodes.iter().map(|node| node.id).collect();
    let mut others = others.into_iter().filter(|id| *id != first);
    let second = others.next().expect("a second node");
    let third = others.next().expect("a third node");
    (run, [first, second, third])
}

/// The node takes the lease; the epoch that it gets.
fn grab(run: &mut Run, id: NodeId) -> LeaseEpoch {
    let node = run.nodes.iter().find(|node| node.id == id);
    let node = node.expect("the node");
    let handle = node.handle().expect("it runs");
    node.spawn(async move { drop(handle.grab_election("test").await) });
    assert!(run.pass_until(10_000, |run| epoch_of(run, id).is_some()));
    epoch_of(run, id).expect("it leads")
}

/// Cut off from its peers, a leader lost the lease to one of them, took it back from that one,
/// which it did not hear either, and so on: each sent the other's sessions away from the servers,
/// and nobody acted as long as the network between them was cut.
#[test]
fn a_leader_that_is_cut_off_from_its_peers_does_not_take_turns_with_them() {
    for pause in [100, 2_000, 8_000] {
        let (mut run, [first, second, third]) = three();
        run.world.change(|state| {
            for peer in [second, third] {
                state.network.cut(&first.to_string(), &peer.to_string());
            }
        });
        run.pass(pause);
        let before = run.world.lock().first_primary.clone().expect("a primary");
        run.world
            .change(|state| crate::connections::kill(state, &before));
        let is_replaced = |run: &Run| {
            let state = run.world.lock();
            let mut servers = state.servers.values();
            servers.any(crate::server::SimServer::takes_writes)
        };
        assert!(run.pass_until(5_000, is_replaced), "after {pause} ms");
        run.pass(5_000);
        let epochs: Vec<LeaseEpoch> = [first, second, third]
            .into_iter()
            .filter_map(|id| epoch_of(&run, id))
            .collect();
        assert!(epochs.len() == 1 && epochs[0].0 <= 5, "{epochs:?}");
        end(run);
    }
}

fn cut_from_the_store(run: &Run, id: NodeId) {
    run.world.change(|state| {
        for backend in BACKENDS {
            state.network.cut(&id.to_string(), backend);
        }
    });
}

/// With real servers, two nodes acted under one epoch and forked a cluster: the lease had changed
/// hands, a node that had not heard from the store since stood in for the new leader, which was
/// frozen, and took the next epoch after the last that the store had told it.
#[test]
fn who_stands_in_never_repeats_the_epoch_of_a_peer() {
    let (mut run, [first, second, third]) = three();
    // The third hears its peers, and the store no more.
    cut_from_the_store(&run, third);
    let led = grab(&mut run, second);
    run.pass(500);
    // The store goes, the leader is frozen, and the one that knows its epoch from the store is
    // gone.
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
    end(run);
}

/// A node that hears neither the store nor any peer cannot know which epochs are used. When it
/// hears of the other that has the same one, it is the one to give way: the store granted it to the
/// other.
#[test]
fn of_two_under_one_epoch_the_one_that_was_granted_it_goes_on() {
    let (mut run, [first, second, third]) = three();
    cut_from_the_store(&run, third);
    run.world.change(|state| {
        for peer in [first, second] {
            state.network.cut(&third.to_string(), &peer.to_string());
        }
    });
    let led = grab(&mut run, second);
    assert!(run.pass_until(60_000, |run| epoch_of(run, third).is_some()));
    assert_eq!(epoch_of(&run, third), Some(led), "the coincidence");
    run.world.change(|state| state.network.heal());
    cut_from_the_store(&run, third);
    assert!(run.pass_until(10_000, |run| epoch_of(run, third).is_none()));
    assert_eq!(epoch_of(&run, second), Some(led));
    end(run);
}
