//! The watch over the backend: which of its nodes the real watch selects, and that the store
//! follows it.

use baton_backend::BackendHandle;
use baton_core::model::RecoveryOutcome;

use super::end;
use crate::backend::{BackendKind, Place};
use crate::hazards::Hazards;
use crate::network::NodeId;
use crate::run::{Run, address};
use crate::scenario::{First, Scenario};
use crate::server::{Process, SimServer};

/// Three nodes that watch a backend and use its first node; one of them leads, and all is quiet.
fn watched(backend: BackendKind) -> Run {
    let mut run = Run::new(&Scenario {
        seed: 7,
        replicas: 2,
        below: 0,
        nodes: 3,
        backend,
        first: First::KillPrimary,
        trap: None,
        hazards: Hazards {
            watched: true,
            ..Hazards::default()
        },
    });
    assert!(run.pass_until(15_000, |run| run.actor().is_some()));
    run.pass(4_000);
    assert_eq!(selected(&run), [Some(Place::First); 3]);
    run
}

/// What the watch of each node has selected.
fn selected(run: &Run) -> [Option<Place>; 3] {
    let state = run.world.lock();
    let of = |number| state.backend.databases.selected(NodeId(number));
    [1, 2, 3].map(|number| of(number).map(|(place, _)| place))
}

/// What stands against a node, as the watch of a Baton node says.
fn against(run: &Run, node: NodeId, place: Place) -> Vec<&'static str> {
    let watch = watch(run, node);
    let status = watch.status().borrow().clone();
    let nodes = status.clusters.iter().flat_map(|cluster| &cluster.nodes);
    let mut found = nodes.filter(|found| found.id == place.id());
    let found = found.next().expect("the node is configured");
    let words = found.against.iter().map(|found| found.word.as_str());
    words.collect()
}

fn watch(run: &Run, node: NodeId) -> BackendHandle {
    let state = run.world.lock();
    let watch = state.backend.databases.watch(node);
    watch.expect("the node watches").clone()
}

/// How often the choice of a node changed.
fn changes(run: &Run, node: NodeId) -> u32 {
    watch(run, node).status().borrow().selection.changes
}

fn kill(run: &Run, place: Place) {
    run.world.change(|state| {
        let now = state.now;
        state.backend.kill(place, now);
    });
}

fn kill_primary(run: &Run) {
    let primary = address(1);
    run.world
        .change(|state| crate::connections::kill(state, &primary));
}

/// Outcomes of the recoveries in the tables of the node that is used.
fn outcomes(run: &Run) -> Vec<RecoveryOutcome> {
    let state = run.world.lock();
    let recoveries = state.backend.present().recoveries.iter();
    recoveries.map(|row| row.outcome).collect()
}

fn is_recovered(run: &Run) -> bool {
    let writable = {
        let state = run.world.lock();
        state.servers.values().any(SimServer::takes_writes)
    };
    writable && outcomes(run) == [RecoveryOutcome::Succeeded]
}

#[test]
fn a_failover_ends_on_the_node_that_is_selected_next() {
    for kind in BackendKind::SHARED {
        let mut run = watched(kind);
        kill_primary(&run);
        let begun = |run: &Run| outcomes(run) == [RecoveryOutcome::Running];
        assert!(run.pass_until(5_000, begun), "{kind:?}: no failover");
        kill(&run, Place::First);
        let moved = |run: &Run| selected(run) == [Some(Place::Second); 3];
        assert!(
            run.pass_until(10_000, moved),
            "{kind:?}: {:?}",
            selected(&run)
        );
        assert!(
            run.pass_until(30_000, is_recovered),
            "{kind:?}: {:?}",
            outcomes(&run)
        );
        run.pass(5_000);
        assert!(run.actor().is_some(), "{kind:?}: nobody leads");
        let violations = run.world.lock().violations.clone();
        assert!(violations.is_empty(), "{kind:?}: {violations:?}");
        end(run);
    }
}

/// A frozen node of a pair is replaced after the configured patience, and closed when it goes on.
#[test]
fn a_frozen_node_of_a_pair_is_replaced_and_closed() {
    let mut run = watched(BackendKind::Pair);
    let freeze = |run: &Run, process| {
        run.world.change(|state| {
            state.backend.databases.at_mut(Place::First).process = process;
        });
    };
    freeze(&run, Process::Frozen);
    let moved = |run: &Run| selected(run) == [Some(Place::Second); 3];
    assert!(run.pass_until(30_000, moved), "{:?}", selected(&run));
    freeze(&run, Process::Up);
    let is_closed = |run: &Run| {
        let state = run.world.lock();
        state.backend.databases.at(Place::First).read_only
    };
    assert!(run.pass_until(10_000, is_closed), "both take writes");
    run.pass(5_000);
    assert_eq!(selected(&run), [Some(Place::Second); 3]);
    end(run);
}

#[test]
fn a_pair_that_is_cut_apart_keeps_its_active_node() {
    let mut run = watched(BackendKind::Pair);
    run.world.change(|state| {
        let [first, second] = Place::BOTH.map(Place::name);
        state.network.cut(first, second);
        // One of the Baton nodes does not reach the active node any more.
        state.network.cut(&NodeId(3).to_string(), first);
    });
    for _ in 0..60 {
        run.pass(1_000);
        assert!(
            run.world
                .lock()
                .backend
                .databases
                .at(Place::Second)
                .read_only
        );
        let [one, two, cut_off] = selected(&run);
        assert_eq!([one, two], [Some(Place::First); 2]);
        assert_ne!(cut_off, Some(Place::Second));
    }
    run.world.change(|state| state.network.heal());
    let whole = |run: &Run| selected(run) == [Some(Place::First); 3];
    assert!(run.pass_until(10_000, whole), "{:?}", selected(&run));
    assert_eq!([1, 2, 3].map(|node| changes(&run, NodeId(node))), [0; 3]);
    end(run);
}

#[test]
fn a_node_that_comes_back_behind_is_selected_once_it_caught_up() {
    for kind in BackendKind::SHARED {
        let mut run = watched(kind);
        kill(&run, Place::First);
        let moved = |run: &Run| selected(run) == [Some(Place::Second); 3];
        assert!(
            run.pass_until(10_000, moved),
            "{kind:?}: {:?}",
            selected(&run)
        );
        run.pass(5_000);
        run.world.change(|state| state.backend.start(Place::First));
        run.pass(2_000);
        assert_eq!(selected(&run), [Some(Place::Second); 3], "{kind:?}");
        assert!(!against(&run, NodeId(1), Place::First).is_empty());
        // The only node that has everything is gone.
        kill(&run, Place::Second);
        let is_behind = |run: &Run| run.world.lock().backend.databases.at(Place::First).behind > 0;
        for _ in 0..20 {
            run.pass(100);
            if is_behind(&run) {
                assert!(!selected(&run).contains(&Some(Place::First)), "{kind:?}");
            }
        }
        run.world.change(|state| state.backend.start(Place::Second));
        assert!(run.pass_until(20_000, |run| !is_behind(run)), "{kind:?}");
        let whole = |run: &Run| {
            let [one, two, three] = selected(run);
            one.is_some() && one == two && two == three
        };
        assert!(
            run.pass_until(20_000, whole),
            "{kind:?}: {:?}",
            selected(&run)
        );
        end(run);
    }
}
