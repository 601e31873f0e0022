use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{Address, NodeName, ServerId};
use baton_core::model::{Flavor, ProbeFailure, ServerFacts, ThreadState};
use baton_core::sketch::snapshot;
use baton_core::time::{Timestamp, WallTime};
use baton_ports::WatchAnswer;

use crate::inventory::Registry;
use crate::settings::ControlSettings;

fn registry() -> Arc<Registry> {
    let registry = Registry::new(ControlSettings::new(NodeName::new("n"))).0;
    registry.lock().lease = Some(baton_core::ids::LeaseEpoch(1));
    registry
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// Facts of a replica of `p:3306`, whose identity is `uid`.
fn facts(uid: &str, host: &str) -> ServerFacts {
    let sketch = snapshot("p primary\nr <- p io=running");
    let mut facts = sketch
        .facts(&ServerId::new("r"))
        .expect("read in the sketch")
        .clone();
    facts.uid = uid.to_owned();
    facts.hostname = host.to_owned();
    facts.channels.clear();
    facts
}

fn answer(registry: &Registry, id: &ServerId, seconds: u64, facts: ServerFacts) {
    let began = Timestamp::from_millis(seconds * 1000);
    let answer = WatchAnswer {
        began,
        round_trip: Duration::ZERO,
        facts,
    };
    registry.answered(id, answer, began, WallTime::from_millis(1));
}

fn fail(registry: &Registry, id: &ServerId, seconds: u64) {
    registry.failed(
        id,
        ProbeFailure::Refused,
        Timestamp::from_millis(seconds * 1000),
        WallTime::from_millis(seconds * 1000),
    );
}

fn ids(registry: &Registry) -> Vec<String> {
    let inner = registry.lock();
    inner.servers.keys().map(ToString::to_string).collect()
}

#[test]
fn a_second_address_of_a_server_becomes_an_alias() {
    let registry = registry();
    let name = registry.learn(&address("db1:3306"));
    let ip = registry.learn(&address("10.0.0.1:3306"));
    answer(&registry, &name, 1, facts("u1", "db1"));
    answer(&registry, &ip, 2, facts("u1", "db1"));
    assert_eq!(ids(&registry), ["db1:3306"]);
    assert_eq!(registry.learn(&address("10.0.0.1:3306")), name);
    let (rows, _) = registry.take_dirty();
    let row = rows.iter().find(|row| row.id == name).expect("its row");
    assert_eq!(row.aliases, [address("10.0.0.1:3306")]);
    assert_eq!(registry.take_folded().into_iter().collect::<Vec<_>>(), [ip]);
}

#[test]
fn two_names_of_one_endpoint_are_one_entry_even_while_it_is_down() {
    let registry = registry();
    let first = registry.learn(&address("db1:3306"));
    let second = registry.learn(&address("10.0.0.1:3306"));
    let other_port = registry.learn(&address("10.0.0.1:3307"));
    registry.resolved(&first, vec!["10.0.0.1".to_owned()]);
    registry.resolved(&other_port, vec!["10.0.0.1".to_owned()]);
    registry.resolved(&second, vec!["10.0.0.1".to_owned()]);
    assert_eq!(ids(&registry), ["10.0.0.1:3307", "db1:3306"]);
    assert_eq!(registry.address(&first), Some(address("db1:3306")));
}

#[test]
fn names_that_do_not_resolve_stay_apart() {
    let registry = registry();
    let first = registry.learn(&address("nowhere:3306"));
    let second = registry.learn(&address("elsewhere:3306"));
    registry.resolved(&first, Vec::new());
    registry.resolved(&second, Vec::new());
    assert_eq!(ids(&registry).len(), 2);
}

#[test]
fn a_server_that_moves_keeps_its_id() {
    let registry = registry();
    let id = registry.learn(&address("old:3306"));
    answer(&registry, &id, 1, facts("u1", "old"));
    fail(&registry, &id, 2);
    let new = registry.learn(&address("new:3307"));
    answer(&registry, &new, 3, facts("u1", "new"));
    assert_eq!(ids(&registry), ["old:3306"]);
    assert_eq!(registry.address(&id), Some(address("new:3307")));
}

#[test]
fn a_move_is_seen_when_the_old_address_falls_silent_a_moment_later() {
    let registry = registry();
    let id = registry.learn(&address("old:3306"));
    answer(&registry, &id, 1, facts("u1", "old"));
    let new = registry.learn(&address("new:3306"));
    answer(&registry, &new, 2, facts("u1", "new"));
    assert_eq!(ids(&registry).len(), 2, "both answered, so far");
    fail(&registry, &id, 3);
    answer(&registry, &new, 4, facts("u1", "new"));
    assert_eq!(ids(&registry), ["old:3306"]);
    assert_eq!(registry.address(&id), Some(address("new:3306")));
}

#[test]
fn a_copied_identity_is_another_server_even_when_the_first_one_dies() {
    let registry = registry();
    let first = registry.learn(&address("one:3306"));
    let second = registry.learn(&address("two:3306"));
    answer(&registry, &first, 1, facts("u1", "one"));
    answer(&registry, &second, 2, facts("u1", "two"));
    answer(&registry, &first, 3, facts("u1", "one"));
    fail(&registry, &first, 4);
    answer(&registry, &second, 5, facts("u1", "two"));
    assert_eq!(ids(&registry).len(), 2);
}

#[test]
fn a_mariadb_server_at_another_host_is_not_taken_for_one_that_moved() {
    let registry = registry();
    let mariadb = |host| ServerFacts {
        flavor: Flavor::Mariadb,
        ..facts("hash/1", host)
    };
    let first = registry.learn(&address("one:3306"));
    answer(&registry, &first, 1, mariadb("one"));
    fail(&registry, &first, 2);
    let second = registry.learn(&address("two:3306"));
    answer(&registry, &second, 3, mariadb("two"));
    assert_eq!(ids(&registry).len(), 2);
    let third = registry.learn(&address("10.0.0.1:3306"));
    answer(&registry, &third, 4, mariadb("one"));
    assert_eq!(registry.address(&first), Some(address("10.0.0.1:3306")));
}

#[test]
fn a_source_is_recognised_under_a_name_that_means_nothing_here() {
    let registry = registry();
    let source = registry.learn(&address("p:3306"));
    let replica = registry.learn(&address("r:3306"));
    answer(&registry, &source, 1, facts("u-p", "p"));
    let sketch = snapshot("p primary\nr <- p io=running");
    let mut seen = facts("u-r", "r");
    seen.channels
        .clone_from(&sketch.facts(&ServerId::new("r")).expect("read").channels);
    for channel in &mut seen.channels {
        channel.source = Some(address("inside-the-network:3306"));
        channel.source_uid = Some("u-p".to_owned());
    }
    let mut connecting = seen.clone();
    for channel in &mut connecting.channels {
        channel.receiver = ThreadState::Connecting;
    }
    answer(&registry, &replica, 2, connecting);
    assert_eq!(
        ids(&registry).len(),
        3,
        "not connected: learned as a stranger"
    );
    answer(&registry, &replica, 3, seen);
    assert_eq!(ids(&registry), ["p:3306", "r:3306"]);
    let inner = registry.lock();
    let cluster = |id| inner.servers.get(id).and_then(|e| e.cluster.clone());
    assert!(cluster(&source).is_some());
    assert_eq!(cluster(&source), cluster(&replica));
}

#[test]
fn a_registered_replica_that_answers_elsewhere_is_not_learned_again() {
    let registry = registry();
    let replica = registry.learn(&address("10.0.0.2:3306"));
    let source = registry.learn(&address("p:3306"));
    answer(&registry, &replica, 1, facts("u-r", "r"));
    let sketch = snapshot("p primary attached=r\nr <- p io=running");
    let mut seen = facts("u-p", "p");
    seen.replicas
        .clone_from(&sketch.facts(&ServerId::new("p")).expect("read").replicas);
    for attached in &mut seen.replicas {
        attached.host = "not-resolvable".to_owned();
        attached.uid = Some("u-r".to_owned());
    }
    assert_eq!(seen.replicas.len(), 1);
    answer(&registry, &source, 2, seen);
    assert_eq!(ids(&registry), ["10.0.0.2:3306", "p:3306"]);
}
