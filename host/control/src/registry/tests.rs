//! Discovery, one reading after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{Address, ServerId};
use baton_core::model::ServerFacts;
use baton_core::sketch;
use baton_core::time::WallTime;
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
        let mut facts = BTreeMap::new();
        for (id, server) in sketch::snapshot(text).servers {
            let read = server.facts.expect("a server that was read");
            facts.insert(id.to_string(), read.value);
        }
        let node = baton_core::ids::NodeName::new("n");
        let (registry, _) = Registry::new(ControlSettings::new(node));
        registry.lock().lease = Some(baton_core::ids::LeaseEpoch(1));
        Self { registry, facts }
    }

    fn id(&self, name: &str) -> ServerId {
        let address = Address::new(name, 3306).expect("an address");
        self.registry.learn(&address)
    }

    fn read(&self, name: &str) {
        let answer = WatchAnswer {
            began: sketch::NOW,
            round_trip: Duration::from_millis(1),
            facts: self.facts[name].clone(),
        };
        let id = self.id(name);
        let registry = &self.registry;
        registry.answered(&id, answer, sketch::NOW, WallTime::from_millis(1000));
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

/// What a node that does not lead made of its readings went to and fro with what the one that leads had recorded.
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
