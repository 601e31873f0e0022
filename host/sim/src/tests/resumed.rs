//! Recoveries that another process goes on with.

use baton_core::ids::Address;

use super::{end, quiet_with};
use crate::network::NodeId;
use crate::run::{Run, address};
use crate::server::Process;

/// Whoever takes writes in place of the first primary.
fn successor(run: &Run) -> Option<Address> {
    let state = run.world.lock();
    let first = state.first_primary.as_ref();
    let mut servers = state.servers.values();
    let found = servers.find(|server| server.takes_writes() && Some(&server.address) != first);
    found.map(|server| server.address.clone())
}

fn is_followed(run: &Run, successor: &Address) -> bool {
    let state = run.world.lock();
    let mut channels = state
        .servers
        .values()
        .filter_map(|server| server.channel.as_ref());
    channels.any(|channel| channel.source == *successor)
}

fn step_until<T>(run: &mut Run, mut done: impl FnMut(&Run) -> Option<T>) -> Option<T> {
    for _ in 0..20_000 {
        run.pass(1);
        if let Some(found) = done(run) {
            return Some(found);
        }
    }
    None
}

fn set_process(run: &Run, address: &Address, process: Process) {
    run.world.change(|state| {
        if let Some(server) = state.servers.get_mut(address) {
            server.process = process;
        }
    });
}

/// A failover that has opened its successor and pointed some replicas at it, not all, when the node
/// that drives it ends.
fn cut_short() -> (Run, Address) {
    let mut run = quiet_with(4);
    run.world.change(|state| {
        let first = state.first_primary.clone().expect("a primary");
        crate::connections::kill(state, &first);
    });
    let opened = step_until(&mut run, successor).expect("somebody is promoted");
    let actor: NodeId = run.actor().map(|(node, _)| node.id).expect("one acts");
    // One replica is out of its reach from now on, and so not pointed at the successor.
    let left = (2..=5).map(address).rfind(|other| *other != opened);
    let left = left.expect("a replica").to_string();
    run.world
        .change(|state| state.network.cut(&actor.to_string(), &left));
    let followed = |run: &Run| is_followed(run, &opened).then_some(());
    step_until(&mut run, followed).expect("the others follow");
    for node in &mut run.nodes {
        if node.id == actor {
            node.kill();
        }
    }
    (run, opened)
}

/// Who takes writes when all is over.
fn open(mut run: Run) -> Vec<Address> {
    assert!(run.pass_until(60_000, |run| run.is_over(2_000)));
    let state = run.world.lock();
    assert!(
        state.violations.is_empty(),
        "{:?} {:#?}",
        state.violations,
        state.tale
    );
    let servers = state.servers.values();
    let open = servers.filter(|server| server.takes_writes());
    let open = open.map(|server| server.address.clone()).collect();
    drop(state);
    end(run);
    open
}

/// With real servers on a busy machine: the leader ended when its failover had opened the successor
/// and pointed some replicas at it; who went on with the recovery got no answer from the successor
/// just then, began again with the replicas that were left, and opened another one.
#[test]
fn a_successor_that_does_not_answer_for_a_moment_stays_the_successor() {
    for silent_for in [500, 1_500, 3_000, 8_000] {
        let (mut run, opened) = cut_short();
        set_process(&run, &opened, Process::Frozen);
        run.pass(silent_for);
        set_process(&run, &opened, Process::Up);
        assert_eq!(open(run), [opened], "{silent_for}");
    }
}

/// Its followers have what was acknowledged since, and one of them succeeds it.
#[test]
fn a_successor_that_died_with_the_leader_is_replaced_by_one_that_followed_it() {
    let (run, opened) = cut_short();
    run.world
        .change(|state| crate::connections::kill(state, &opened));
    let open = open(run);
    assert!(open.len() == 1 && open != [opened], "{open:?}");
}
