//! Discovery, one reading after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::gtid::GtidSet;
use baton_core::ids::{Address, LeaseEpoch, ServerId};
use baton_core::model::{Closed, ProbeFailure, ServerFacts};
use baton_core::sketch;
use baton_core::time::{Timestamp, WallTime};
use baton_ports::WatchAnswer;

use super::Registry;
use crate::settings::ControlSettings;

/// A registry, and what each server of a sketch says when it is read.
struct Discovery {
    registry: Arc<Registry>,
    facts: BTreeMap<String, ServerFacts>,
}

impl Discovery {
    fn of(text: &str) -> Self {
        let node = baton_core::ids::NodeName::new("n");
        Self::with(text, ControlSettings::new(node))
    }

    fn with(text: &str, settings: ControlSettings) -> Self {
        let mut facts = BTreeMap::new();
        for (id, server) in sketch::snapshot(text).servers {
            let read = server.facts.expect("a server that was read");
            facts.insert(id.to_string(), read.value);
        }
        let (registry, _) = Registry::new(settings);
        registry.lock().lease = Some(baton_core::ids::LeaseEpoch(1));
        Self { registry, facts }
    }

    fn id(&self, name: &str) -> ServerId {
        let address = Address::new(name, 3306).expect("an address");
        self.registry.learn(&address)
    }

    fn read(&self, name: &str) {
        self.read_at(name, sketch::NOW);
    }

    fn read_at(&self, name: &str, began: Timestamp) {
        let answer = WatchAnswer {
            began,
            round_trip: Duration::from_millis(1),
            facts: self.facts[name].clone(),
        };
        let id = self.id(name);
        let registry = &self.registry;
        registry.answered(&id, answer, began, WallTime::from_millis(1000));
    }

    /// Names of the servers in each cluster.
    fn clusters(&self) -> Vec<Vec<String>> {
        let inner = self.registry.lock();
        let members = |cluster: &_| {
            let is_in = |entry: &&super::Entry| entry.cluster.as_ref() == Some(cluster);
            let ids = inner.servers.values().filter(is_in);
            ids.map(|entry| entry.address.host.clone()).collect()
        };
        inner.clusters.keys().map(members).collect()
    }
}

#[test]
fn a_cluster_is_founded_once_everybody_above_was_probed() {
    let world = Discovery::of(
        "p1 rw <- p2
         p2 ro <- p1
         r1 <- p2
         r2 <- p2",
    );
    world.read("r1");
    world.read("p2");
    // Of `p2` is known by now that it has a source, of that source nothing.
    world.read("r2");
    assert_eq!(world.clusters(), Vec::<Vec<String>>::new());
    world.read("p1");
    assert_eq!(world.clusters(), [["p1", "p2", "r1", "r2"]]);
}

/// What was read before the lease came is not placed; the first reading after it places all of it.
#[test]
fn what_was_read_before_this_node_led_becomes_one_cluster() {
    let world = Discovery::of(
        "p rw
         r1 <- p
         r2 <- p
         s1 <- r1",
    );
    world.registry.lock().lease = None;
    for name in ["p", "r1", "r2", "s1"] {
        world.read(name);
    }
    assert_eq!(world.clusters(), Vec::<Vec<String>>::new());
    world.registry.lock().lease = Some(baton_core::ids::LeaseEpoch(1));
    world.read("s1");
    assert_eq!(world.clusters(), [["p", "r1", "r2", "s1"]]);
    let inner = world.registry.lock();
    let names: Vec<&str> = inner
        .clusters
        .values()
        .map(|cluster| cluster.row.name.as_str())
        .collect();
    assert_eq!(names, ["p:3306"], "named after the top");
}

/// What a node that does not lead made of its readings went to and fro with what the one that leads
/// had recorded.
#[test]
fn only_the_node_that_leads_moves_servers_between_clusters() {
    let mut world = Discovery::of(
        "p rw
         r1 <- p
         q rw
         r2 <- q",
    );
    for name in ["p", "r1", "q", "r2"] {
        world.read(name);
    }
    assert_eq!(world.clusters(), [vec!["p", "r1"], vec!["q", "r2"]]);
    let moved = world.facts["r2"].clone();
    world.facts.insert("r1".to_owned(), moved);
    world.facts.get_mut("r1").expect("read before").uid = "r1".to_owned();
    world.registry.lock().lease = None;
    world.read("r1");
    assert_eq!(world.clusters(), [vec!["p", "r1"], vec!["q", "r2"]]);
    world.registry.lock().lease = Some(baton_core::ids::LeaseEpoch(2));
    world.read("r1");
    assert_eq!(world.clusters(), [vec!["p"], vec!["q", "r1", "r2"]]);
}

/// Whatever the order of the readings, and whatever the state of the channel.
#[test]
fn the_second_source_of_a_replica_is_a_cluster_of_its_own() {
    for state in ["", "io=stopped", "io=stopped sql=stopped", "io=connecting"] {
        let text = format!(
            "p1 rw
             p2 rw
             m1 <- p1@one <- p2@two {state}
             r1 <- p1
             r2 <- p2"
        );
        for order in [
            ["p1", "p2", "m1", "r1", "r2"],
            ["m1", "r1", "r2", "p2", "p1"],
            ["p2", "m1", "p1", "r2", "r1"],
            ["r2", "m1", "r1", "p1", "p2"],
        ] {
            let world = Discovery::of(&text);
            for _ in 0..2 {
                for name in order {
                    world.read(name);
                }
            }
            let mut clusters = world.clusters();
            clusters.sort();
            assert_eq!(
                clusters,
                [vec!["m1", "p1", "r1"], vec!["p2", "r2"]],
                "{order:?} {state}"
            );
        }
    }
}

/// Its name sorts before the other one, and its cluster was known first.
#[test]
fn a_member_that_is_given_a_second_source_stays() {
    let mut world = Discovery::of(
        "p1 rw
         m1 <- p1@one <- p2@aaa
         p2 rw",
    );
    let both = world.facts["m1"].clone();
    world
        .facts
        .get_mut("m1")
        .expect("read")
        .channels
        .retain(|c| c.name == "one");
    for name in ["p1", "m1", "p2"] {
        world.read(name);
    }
    world.facts.insert("m1".to_owned(), both);
    for name in ["m1", "p2", "m1"] {
        world.read(name);
    }
    assert_eq!(world.clusters(), [vec!["m1", "p1"], vec!["p2"]]);
}

#[test]
fn a_primary_that_is_given_a_source_elsewhere_has_not_moved() {
    let mut world = Discovery::of(
        "p1 rw <- p2
         r1 <- p1
         p2 rw
         r2 <- p2",
    );
    let importing = world.facts["p1"].clone();
    world.facts.get_mut("p1").expect("read").channels.clear();
    for name in ["p1", "r1", "p2", "r2"] {
        world.read(name);
    }
    let primaries = [world.id("p1"), world.id("p2")];
    {
        let mut inner = world.registry.lock();
        for primary in primaries {
            let cluster = inner.servers[&primary].cluster.clone().expect("a cluster");
            inner.clusters.get_mut(&cluster).expect("known").row.primary = Some(primary);
        }
    }
    world.facts.insert("p1".to_owned(), importing.clone());
    world.read("p1");
    assert_eq!(world.clusters(), [vec!["p1", "r1"], vec!["p2", "r2"]]);
    // A person closed it and made a replica of it.
    let mut replica = importing;
    replica.read_only = true;
    world.facts.insert("p1".to_owned(), replica);
    world.read("p1");
    assert_eq!(world.clusters(), [vec!["r1"], vec!["p1", "p2", "r2"]]);
}

/// As an older version recorded it.
#[test]
fn a_source_that_was_drawn_into_a_cluster_leaves_it() {
    let world = Discovery::of(
        "p1 rw
         m1 <- p1@one <- p2@two
         p2 rw",
    );
    for name in ["p1", "m1", "p2"] {
        world.read(name);
    }
    let (p1, p2) = (world.id("p1"), world.id("p2"));
    {
        let mut inner = world.registry.lock();
        let cluster = inner.servers[&p1].cluster.clone().expect("a cluster");
        inner.clusters.get_mut(&cluster).expect("known").row.primary = Some(p1);
        let old = inner
            .servers
            .get_mut(&p2)
            .expect("known")
            .cluster
            .replace(cluster);
        inner.drop_if_empty(&old.expect("a cluster"));
    }
    assert_eq!(world.clusters(), [["m1", "p1", "p2"]]);
    world.read("p2");
    assert_eq!(world.clusters(), [vec!["m1", "p1"], vec!["p2"]]);
}

/// Who closed a server is told by whether it was started since.
#[test]
fn a_restart_and_a_person_close_a_server_differently() {
    let read = |registry: &Registry, id: &ServerId, after: u64, read_only, uptime: u64| {
        let mut facts = sketch::snapshot("p")
            .servers
            .into_values()
            .next()
            .and_then(|s| s.facts);
        let mut facts = facts.take().expect("read").value;
        facts.read_only = read_only;
        facts.vitals.uptime = Some(Duration::from_secs(uptime));
        let began = sketch::NOW.plus(Duration::from_secs(after));
        let answer = WatchAnswer {
            began,
            round_trip: Duration::from_millis(1),
            facts,
        };
        registry.answered(id, answer, began, WallTime::from_millis(1000));
    };
    for (readings, expected) in [
        (&[(0, true, 5_u64)][..], Closed::AtStart),
        (&[(0, true, 5000)], Closed::Unknown),
        (&[(0, false, 5000), (1, true, 5001)], Closed::WhileRunning),
        (&[(0, false, 5000), (2, true, 0)], Closed::ByRestart),
        (&[(0, false, 3), (60, true, 4)], Closed::ByRestart),
        // Closed by a person, restarted afterwards; opened, closed again.
        (
            &[(0, false, 5000), (1, true, 5001), (9, true, 1)],
            Closed::WhileRunning,
        ),
        (
            &[(0, false, 50), (2, true, 0), (3, false, 1), (4, true, 2)],
            Closed::WhileRunning,
        ),
        (&[(0, true, 5), (1, false, 6)], Closed::Unknown),
    ] {
        let world = Discovery::of("p rw");
        let id = world.id("p");
        for (after, read_only, uptime) in readings {
            read(&world.registry, &id, *after, *read_only, *uptime);
        }
        let closed = world.registry.lock().servers[&id].closed;
        assert_eq!(closed, expected, "{readings:?}");
    }
}

/// A configuration that named a replica had no effect: the cluster silently recovered on request
/// only.
#[test]
fn any_member_names_its_cluster() {
    for named in ["p1", "r1", "r2"] {
        let address = Address::new(named, 3306).expect("an address");
        let mut settings = ControlSettings::new(baton_core::ids::NodeName::new("n"));
        settings.cluster_names.insert(address, "shop".to_owned());
        let world = Discovery::with("p1 rw\nr1 <- p1\nr2 <- p1", settings);
        // A replica that was read before its source is placed with it, and named at its next
        // reading.
        for server in ["r1", "p1", "r2", "r1"] {
            world.read(server);
        }
        let names = |world: &Discovery| -> Vec<String> {
            let inner = world.registry.lock();
            inner
                .clusters
                .values()
                .map(|c| c.row.name.clone())
                .collect()
        };
        assert_eq!(names(&world), ["shop"], "{named}");
        // A person's name stays.
        for cluster in world.registry.lock().clusters.values_mut() {
            "mine".clone_into(&mut cluster.row.name);
        }
        world.read(named);
        assert_eq!(names(&world), ["mine"], "{named}");
    }
}

/// Uptimes are whole seconds: of a server that dies in its first second and is back in the next,
/// only the lost connection tells that it was restarted. A person who closes one does not end its
/// connections.
#[test]
fn a_restart_within_a_second_is_told_by_the_lost_connection() {
    for (lost, uptime, expected) in [
        (true, 0, Closed::ByRestart),
        (false, 0, Closed::WhileRunning),
        // The network was cut for a moment: the process ran on.
        (true, 5000, Closed::WhileRunning),
    ] {
        let world = Discovery::of("p rw");
        let id = world.id("p");
        let mut facts = world.facts["p"].clone();
        facts.vitals.uptime = Some(Duration::from_secs(uptime));
        let at = |millis| sketch::NOW.plus(Duration::from_millis(millis));
        let answer = |began, facts| WatchAnswer {
            began,
            round_trip: Duration::from_millis(1),
            facts,
        };
        let wall = WallTime::from_millis(1000);
        let registry = &world.registry;
        registry.answered(&id, answer(at(0), facts.clone()), at(0), wall);
        if lost {
            registry.failed(&id, ProbeFailure::Refused, at(100), wall);
        }
        facts.read_only = true;
        registry.answered(&id, answer(at(900), facts), at(900), wall);
        assert_eq!(
            registry.lock().servers[&id].closed,
            expected,
            "{lost} {uptime}"
        );
    }
}

/// Seen: a switchover to a replica that was set up from a dump waited for what its old primary had
/// had before that.
#[test]
fn a_replica_that_was_restored_has_what_was_before() {
    let mut world = Discovery::of("p1 rw mariadb\nr1 mariadb <- p1\nr2 mariadb <- p1");
    let history = |text: &str| GtidSet::parse_mariadb_history(text, "").expect("a state");
    let registry = Arc::clone(&world.registry);
    let primary = world.id("p1");
    let mut read = |name: &str, text: &str, millis: u64| {
        let facts = world.facts.get_mut(name).expect("a server");
        facts.executed = history(text);
        world.read_at(name, Timestamp::from_millis(millis));
        let id = world.id(name);
        let inner = world.registry.lock();
        let entry = inner.servers.get(&id).expect("it is known");
        let facts = entry.facts.as_ref();
        facts.map(|facts| facts.value.executed.clone())
    };
    read("p1", "0-2-700,0-1-1200", 1);
    read("r1", "0-2-700,0-1-1200", 2);
    read("r2", "0-1-1200", 3);
    let cluster = registry.lock().clusters.keys().next().cloned();
    let cluster = cluster.expect("one cluster");
    registry.set_primary(&cluster, &primary, LeaseEpoch(1));
    read("p1", "0-2-700,0-1-1300", 4);
    let whole = Some(history("0-2-700,0-1-1250"));
    assert_eq!(read("r2", "0-1-1250", 5), whole);
    // Somebody began it anew: what it had is not what it has.
    assert_eq!(read("r2", "0-1-90", 6), Some(history("0-1-90")));
}

/// Readings overlap: the source's, which began later, may come in first.
#[test]
fn a_receiver_goes_on_starving_while_its_source_was_read_later() {
    let world = Discovery::of("p1 rw\n r1 missing=5 <- p1");
    let at = |tenths: u64| sketch::NOW.plus(Duration::from_millis(tenths * 100));
    world.read_at("p1", at(0));
    world.read_at("r1", at(10));
    world.read_at("p1", at(25));
    world.read_at("r1", at(20));
    let r1 = world.id("r1");
    let inner = world.registry.lock();
    let starving: Vec<Timestamp> = inner.servers[&r1]
        .starving
        .iter()
        .map(|(_, since)| *since)
        .collect();
    assert_eq!(starving, [at(10)]);
}

#[test]
fn a_picture_that_was_taken_does_not_change() {
    let node = baton_core::ids::NodeName::new("n");
    let (registry, _started) = Registry::new(ControlSettings::new(node));
    let before = registry.latest();
    registry.set_lease(Some(LeaseEpoch(1)));
    registry.learn(&Address::new("db1", 3306).expect("an address"));
    assert_eq!((before.lease, before.servers.len()), (None, 0));
    let after = registry.latest();
    assert_eq!((after.lease, after.servers.len()), (Some(LeaseEpoch(1)), 1));
}
