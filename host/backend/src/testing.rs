//! Servers of a pair for tests of pure functions.

use std::time::Duration;

use baton_core::gtid::GtidSet;
use baton_core::ids::Address;
use baton_core::model::{
    Channel, CommitProbe, Durability, Flavor, LogFormat, ReplicationError, ServerFacts, Space,
    ThreadState, Version, Vitals,
};

/// A MariaDB server, number 1 or 2 of a pair, closed, following the other.
pub(crate) struct Server(ServerFacts);

/// The server with that number.
pub(crate) fn server(number: u32) -> Server {
    let other = 3 - number;
    let received = set("1-1-5,2-2-3");
    let position = ("binlog.000001".to_owned(), 4);
    let channel = Channel {
        name: String::new(),
        source: Address::new(&format!("n{other}"), 3306).ok(),
        source_uid: None,
        source_server_id: Some(other),
        user: "repl".to_owned(),
        receiver: ThreadState::Running,
        applier: ThreadState::Running,
        receiver_error: None,
        applier_error: None,
        received: received.clone(),
        auto_position: true,
        lag: Some(Duration::ZERO),
        delay: Duration::ZERO,
        filtered: false,
        read_position: position.clone(),
        applied_position: position.clone(),
        relay_position: position,
        heartbeats: None,
        heartbeat_period: None,
        tls: false,
    };
    Server(ServerFacts {
        uid: format!("uid-{number}"),
        server_id: number,
        flavor: Flavor::Mariadb,
        version: Version::default(),
        version_text: String::new(),
        version_comment: String::new(),
        hostname: format!("n{number}"),
        port: 3306,
        report_host: None,
        report_port: None,
        read_only: true,
        super_read_only: None,
        log_bin: true,
        log_updates: true,
        log_format: LogFormat::Row,
        row_image: "FULL".to_owned(),
        gtid_mode: "ON".to_owned(),
        executed: received,
        purged: None,
        binlog: None,
        channels: vec![channel],
        replicas: Vec::new(),
        semi_sync: None,
        durability: Durability::default(),
        vitals: Vitals {
            uptime: None,
            connections: None,
            connections_max: None,
            threads_running: None,
            commit: CommitProbe::NotTried,
            space: Space::NoSign,
        },
        place: None,
        events: None,
        prepared: None,
        cluster_hint: None,
        privileged_writers: None,
    })
}

fn set(text: &str) -> GtidSet {
    GtidSet::parse_mariadb_history(text, "").unwrap()
}

impl Server {
    pub(crate) fn open(mut self) -> Self {
        self.0.read_only = false;
        self
    }

    pub(crate) fn uid(mut self, uid: &str) -> Self {
        self.0.uid = uid.to_owned();
        self
    }

    pub(crate) fn executed(mut self, text: &str) -> Self {
        self.0.executed = set(text);
        self.channel(|channel| channel.received = set(text))
    }

    pub(crate) fn receiver(self, state: ThreadState) -> Self {
        self.channel(|channel| channel.receiver = state)
    }

    pub(crate) fn applier(self, state: ThreadState) -> Self {
        self.channel(|channel| channel.applier = state)
    }

    pub(crate) fn applier_error(self, number: u32) -> Self {
        self.channel(|channel| {
            channel.applier = ThreadState::Stopped;
            channel.applier_error = Some(ReplicationError {
                number,
                message: String::new(),
            });
        })
    }

    pub(crate) fn source(self, id: u32) -> Self {
        self.channel(|channel| channel.source_server_id = Some(id))
    }

    pub(crate) fn alone(mut self) -> Self {
        self.0.channels.clear();
        self
    }

    pub(crate) fn facts(self) -> ServerFacts {
        self.0
    }

    fn channel(mut self, change: impl Fn(&mut Channel)) -> Self {
        self.0.channels.iter_mut().for_each(change);
        self
    }
}
