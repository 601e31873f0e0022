//! A simulated server's answer to a reading.

use std::time::Duration;

use baton_core::model::{
    AttachedReplica, Channel, CommitProbe, Durability, Flavor, LogFormat, SemiSync, ServerFacts,
    Space, ThreadState, Version, Vitals, WaitPoint,
};

use crate::server::{SECOND, SimChannel, SimServer, gtid_set, uuid};
use crate::world::State;

/// Everything the server would say.
pub(crate) fn facts(state: &State, server: &SimServer) -> ServerFacts {
    ServerFacts {
        uid: uuid(server.number),
        server_id: server.number,
        flavor: Flavor::Mysql,
        version: Version {
            major: 9,
            minor: 7,
            patch: 0,
        },
        version_text: "9.7.0-sim".to_owned(),
        version_comment: "simulated".to_owned(),
        hostname: server.address.host.clone(),
        port: server.address.port,
        report_host: None,
        report_port: None,
        read_only: server.read_only,
        super_read_only: Some(server.read_only),
        log_bin: true,
        log_updates: true,
        log_format: LogFormat::Row,
        row_image: "FULL".to_owned(),
        gtid_mode: "ON".to_owned(),
        executed: gtid_set(&server.executed),
        purged: None,
        binlog: None,
        channels: channels(server),
        replicas: replicas(state, server),
        semi_sync: Some(SemiSync {
            source_enabled: server.waits,
            source_active: server.waits,
            wait_for: server.wait_for,
            clients: acknowledging(state, server),
            waiting_sessions: u32::from(
                server.waits
                    && state
                        .client
                        .waits
                        .as_ref()
                        .is_some_and(|one| one.target == server.address),
            ),
            timeout: Some(Duration::from_hours(1)),
            wait_point: Some(WaitPoint::AfterSync),
            waits_without_replicas: Some(true),
            replica_enabled: server.acknowledges,
            replica_active: server.acknowledges,
        }),
        durability: Durability::default(),
        vitals: Vitals {
            uptime: Some(Duration::from_secs(
                state.now.saturating_sub(server.started) / 1000,
            )),
            connections: None,
            connections_max: None,
            threads_running: None,
            commit: CommitProbe::NotTried,
            space: Space::NoSign,
        },
        events: None,
        prepared: None,
        place: None,
        cluster_hint: None,
        privileged_writers: None,
    }
}

fn channels(server: &SimServer) -> Vec<Channel> {
    let first = server.channel.as_ref().map(|channel| (channel, ""));
    let second = server.second.as_ref().map(|channel| (channel, SECOND));
    let both = first.into_iter().chain(second);
    both.map(|(found, name)| channel(server, found, name))
        .collect()
}

fn channel(server: &SimServer, channel: &SimChannel, name: &str) -> Channel {
    let received = gtid_set(&server.executed).union(&gtid_set(&server.relay));
    Channel {
        name: name.to_owned(),
        source: Some(channel.source.clone()),
        source_uid: None,
        source_server_id: None,
        user: "repl".to_owned(),
        receiver: match (channel.receiver_on, channel.connected) {
            (true, true) => ThreadState::Running,
            (true, false) => ThreadState::Connecting,
            (false, _) => ThreadState::Stopped,
        },
        applier: if channel.applier_on {
            ThreadState::Running
        } else {
            ThreadState::Stopped
        },
        receiver_error: None,
        applier_error: None,
        received,
        auto_position: true,
        lag: Some(Duration::ZERO),
        delay: Duration::from_millis(server.delay),
        filtered: false,
        read_position: (String::new(), 0),
        applied_position: (String::new(), 0),
        relay_position: (String::new(), 0),
        heartbeats: Some(channel.heartbeats),
        heartbeat_period: Some(Duration::from_millis(channel.heartbeat_period)),
        tls: false,
    }
}

/// Who is connected to it.
fn attached<'a>(state: &'a State, server: &'a SimServer) -> impl Iterator<Item = &'a SimServer> {
    state.servers.values().filter(|other| {
        let mut channels = other.channel.iter().chain(&other.second);
        channels.any(|c| c.connected && c.source == server.address)
    })
}

fn acknowledging(state: &State, server: &SimServer) -> u32 {
    let acknowledging = attached(state, server).filter(|other| other.acknowledges);
    u32::try_from(acknowledging.count()).unwrap_or(u32::MAX)
}

fn replicas(state: &State, server: &SimServer) -> Vec<AttachedReplica> {
    attached(state, server)
        .map(|other| AttachedReplica {
            host: other.address.host.clone(),
            port: Some(other.address.port),
            server_id: Some(other.number),
            uid: Some(uuid(other.number)),
        })
        .collect()
}
