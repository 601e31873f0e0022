//! From what the lines say to a snapshot.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cluster::{ClusterSketch, ago, wall_ago};
use super::server::{ChannelSketch, ServerSketch};
use super::{NOW, WALL};
use crate::gtid::GtidSet;
use crate::ids::{Address, ServerId};
use crate::model::{
    AttachedReplica, BinlogPosition, Channel, Downtime, Flavor, Outage, Probe, Server, ServerFacts,
    Snapshot, ThreadState, Vitals,
};
use crate::time::{Observed, Timestamp};

/// Transactions that all servers of a sketch share.
const HISTORY: u64 = 1000;
const PORT: u16 = 3306;
const ROUND_TRIP: Duration = Duration::from_millis(1);

pub(super) fn snapshot(cluster: &ClusterSketch, servers: &[ServerSketch]) -> Snapshot {
    let primary = servers
        .iter()
        .find(|s| s.primary)
        .map(|s| ServerId::new(&s.name));
    let mut addresses = BTreeMap::new();
    for server in servers {
        let own = address(&server.name);
        let aliases = server
            .aliases
            .iter()
            .filter_map(|a| Address::parse(a, Some(PORT)).ok());
        for known in aliases.chain(own) {
            addresses.insert(known, ServerId::new(&server.name));
        }
    }
    let members = (1_u32..)
        .zip(servers)
        .filter_map(|(number, sketch)| server(number, sketch));
    Snapshot {
        taken_at: NOW,
        wall: WALL,
        cluster: cluster.record(primary),
        servers: members.map(|server| (server.id.clone(), server)).collect(),
        addresses,
        highest: cluster.seen().map(|seen| {
            let flavor = servers
                .first()
                .map_or(Flavor::Mysql, |server| server.flavor);
            history(flavor, seen)
        }),
        control: cluster.control(),
        fleet: cluster.fleet(),
    }
}

/// Where the server or outside address `name` is.
fn address(name: &str) -> Option<Address> {
    Address::parse(name, Some(PORT)).ok()
}

fn server(number: u32, sketch: &ServerSketch) -> Option<Server> {
    let read_age = sketch.read.unwrap_or(match sketch.failure {
        None => Duration::from_millis(100),
        Some(_) => sketch.failing.saturating_add(Duration::from_secs(1)),
    });
    let unread = sketch.unread || sketch.unprobed;
    let instants = |age: fn(&ChannelSketch) -> Option<Duration>| {
        let channels = sketch.channels.iter();
        channels
            .filter_map(|c| age(c).map(|age| (c.name.clone(), ago(age))))
            .collect()
    };
    Some(Server {
        id: ServerId::new(&sketch.name),
        address: address(&sketch.name)?,
        probe: probe(sketch, read_age, unread),
        facts: (!unread).then(|| Observed {
            at: ago(read_age),
            value: facts(number, sketch),
        }),
        heartbeat_moved: instants(|channel| channel.heartbeat),
        reconnected: instants(|channel| channel.reconnected),
        reconnect_failed: instants(|channel| channel.reconnect_failed),
        severed: instants(|channel| channel.severed),
        lifted: {
            let lifted = |c: &ChannelSketch| Some((c.name.clone(), c.lifted?));
            sketch.channels.iter().filter_map(lifted).collect()
        },
        receiver_ran: instants(|channel| channel.ran),
        acknowledged: acknowledged(sketch, read_age),
        closed: sketch.closed,
        outages: sketch.channels.iter().filter_map(outage).collect(),
        starving: instants(|channel| channel.starving),
        progressed_at: sketch.progressed.map(ago),
        commits_wait_since: commits_wait_since(sketch),
        space_awaited_since: sketch.awaited.map(ago),
        prepared_since: {
            let prepared = sketch.prepared.iter().flatten();
            prepared
                .map(|(name, age)| (name.clone(), ago(*age)))
                .collect()
        },
        errant: if unread {
            None
        } else {
            sketch.errant.map(|n| errant(number, sketch, n))
        },
        promotion: sketch.promotion,
        place: sketch.place.clone(),
        downtime: sketch.downtime.then(|| Downtime {
            owner: "operator".to_owned(),
            reason: "sketched".to_owned(),
            begins: wall_ago(Duration::from_mins(1)),
            ends: WALL.plus(Duration::from_hours(1)),
        }),
        maintenance: sketch.maintenance,
        tags: Vec::new(),
        quarantined: sketch.quarantined,
    })
}

/// Where a word says so, or the reading shows it.
fn acknowledged(sketch: &ServerSketch, read_age: Duration) -> Vec<(String, Timestamp)> {
    let active = sketch
        .semi_sync
        .as_ref()
        .is_some_and(|semi| semi.replica_active);
    let channels = sketch.channels.iter();
    channels
        .filter_map(|channel| {
            let shown = active && channel.receiver.0 == ThreadState::Running;
            let age = channel.acknowledged.or(shown.then_some(read_age))?;
            Some((channel.name.clone(), ago(age)))
        })
        .collect()
}

fn outage(channel: &ChannelSketch) -> Option<Outage> {
    channel.outage.map(|(since, last)| Outage {
        channel: channel.name.clone(),
        since: ago(since),
        last: ago(last),
    })
}

/// Unless it is said, sessions have waited since the last progress, or for as long as anybody has
/// watched.
fn commits_wait_since(sketch: &ServerSketch) -> Option<Timestamp> {
    let semi_sync = sketch.semi_sync.as_ref()?;
    let age = sketch.stalled.or(sketch.progressed);
    semi_sync
        .has_waiting_sessions()
        .then(|| age.map_or(Timestamp::default(), ago))
}

fn probe(sketch: &ServerSketch, read_age: Duration, unread: bool) -> Probe {
    let mut probe = Probe::default();
    if sketch.unprobed {
        return probe;
    }
    if !unread || sketch.failure.is_none() {
        let began = ago(read_age);
        probe.answered(began, began.plus(ROUND_TRIP), ROUND_TRIP);
    }
    probe.back_at = sketch.back.map(ago);
    if let Some(failure) = &sketch.failure {
        probe.failed(ago(sketch.failing), failure.clone());
        if sketch.failing > Duration::from_millis(100) {
            probe.failed(ago(Duration::from_millis(100)), failure.clone());
        }
    }
    probe
}

fn facts(number: u32, sketch: &ServerSketch) -> ServerFacts {
    let received = HISTORY
        .saturating_add(sketch.ahead)
        .saturating_sub(sketch.missing);
    let applied = received.saturating_sub(sketch.unapplied);
    let errant = match sketch.errant {
        Some(count) => errant(number, sketch, count),
        None => history(sketch.flavor, 0),
    };
    let executed = match sketch.foreign {
        Some(author) => set(sketch.flavor, author, HISTORY),
        None => history(sketch.flavor, applied),
    };
    let executed = executed.union(&errant).union(&wrote(number, sketch));
    let (connections, connections_max) = sketch.connections.unzip();
    let attached = sketch.attached.iter().filter_map(|name| address(name));
    ServerFacts {
        uid: uid(number),
        server_id: number,
        flavor: sketch.flavor,
        version: sketch.version,
        version_text: sketch.version.to_string(),
        version_comment: "sketched".to_owned(),
        hostname: sketch.name.clone(),
        port: PORT,
        report_host: None,
        report_port: None,
        read_only: !sketch.writable.unwrap_or(sketch.primary),
        super_read_only: (sketch.flavor != Flavor::Mariadb).then_some(sketch.super_read_only),
        log_bin: sketch.log_bin,
        log_updates: sketch.log_updates,
        log_format: sketch.format,
        row_image: "FULL".to_owned(),
        gtid_mode: sketch.gtid_mode.clone(),
        executed,
        purged: None,
        binlog: sketch.log_bin.then(|| BinlogPosition {
            file: "binlog.000001".to_owned(),
            position: applied,
        }),
        channels: sketch
            .channels
            .iter()
            .map(|c| {
                let received = match c.brings {
                    Some(author) => set(sketch.flavor, author, HISTORY),
                    None => history(sketch.flavor, received),
                };
                channel(c, received)
            })
            .collect(),
        replicas: attached
            .map(|address| AttachedReplica {
                host: address.host,
                port: Some(address.port),
                server_id: None,
                uid: None,
            })
            .collect(),
        semi_sync: sketch.semi_sync.clone(),
        durability: sketch.durability.clone(),
        vitals: Vitals {
            uptime: Some(Duration::from_hours(24)),
            connections,
            connections_max,
            threads_running: None,
            commit: sketch.commit.clone(),
            space: sketch.space.clone(),
        },
        events: sketch.events.clone(),
        prepared: sketch.prepared.as_ref().map(|prepared| {
            let names = prepared.iter().map(|(name, _)| name.clone());
            names.collect()
        }),
        place: None,
        cluster_hint: None,
        privileged_writers: sketch.privileged.clone(),
    }
}

fn channel(sketch: &ChannelSketch, received: GtidSet) -> Channel {
    let received_position = ("binlog.000001".to_owned(), 4);
    Channel {
        name: sketch.name.clone(),
        source: address(&sketch.source).filter(|_| sketch.source != "?"),
        source_uid: None,
        source_server_id: None,
        user: sketch.user.clone(),
        receiver: sketch.receiver.0,
        applier: sketch.applier.0,
        receiver_error: sketch.receiver.1.clone(),
        applier_error: sketch.applier.1.clone(),
        received,
        auto_position: sketch.gtid,
        lag: sketch.lag,
        delay: sketch.delay,
        filtered: sketch.filtered,
        read_position: received_position.clone(),
        applied_position: received_position.clone(),
        relay_position: received_position,
        heartbeats: None,
        heartbeat_period: sketch.period,
        tls: false,
    }
}

fn uid(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

/// The first `transactions` of the shared history.
fn history(flavor: Flavor, transactions: u64) -> GtidSet {
    set(flavor, 1, transactions)
}

/// Transactions that a server wrote as a primary.
fn wrote(number: u32, sketch: &ServerSketch) -> GtidSet {
    let last = match sketch.flavor {
        Flavor::Mariadb if sketch.wrote > 0 => applied(sketch).saturating_add(sketch.wrote),
        Flavor::Mariadb | Flavor::Mysql | Flavor::Percona | Flavor::Other => sketch.wrote,
    };
    set(sketch.flavor, number, last)
}

/// Transactions of a server of its own, written on top of what it applied. All of a MariaDB domain
/// share one sequence.
fn errant(number: u32, sketch: &ServerSketch, transactions: u64) -> GtidSet {
    let last = match sketch.flavor {
        Flavor::Mariadb if transactions > 0 => applied(sketch).saturating_add(transactions),
        Flavor::Mariadb | Flavor::Mysql | Flavor::Percona | Flavor::Other => transactions,
    };
    set(sketch.flavor, number.saturating_add(100), last)
}

fn received(sketch: &ServerSketch) -> u64 {
    HISTORY
        .saturating_add(sketch.ahead)
        .saturating_sub(sketch.missing)
}

fn applied(sketch: &ServerSketch) -> u64 {
    received(sketch).saturating_sub(sketch.unapplied)
}

fn set(flavor: Flavor, number: u32, transactions: u64) -> GtidSet {
    let text = |text: String| {
        if transactions == 0 {
            String::new()
        } else {
            text
        }
    };
    let parsed = match flavor {
        Flavor::Mariadb => {
            GtidSet::parse_mariadb_history(&text(format!("0-{number}-{transactions}")), "").ok()
        }
        Flavor::Mysql | Flavor::Percona | Flavor::Other => {
            GtidSet::parse_mysql(&text(format!("{}:1-{transactions}", uid(number)))).ok()
        }
    };
    parsed.unwrap_or_else(|| panic!("the sketch's own GTID set of {number} is refused"))
}
