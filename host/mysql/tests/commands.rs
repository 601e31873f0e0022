//! Each command on real servers, with its opposite where it has one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::time::{Duration, Instant};

use baton_core::model::{ServerFacts, ThreadState};
use baton_ports::{ServerCommand, Servers as _, StatementError};
use baton_sandbox::{Account, Flavor, wait_until};
use common::gate::Gate;
use common::{LIMIT, LOCK, LONG, address, executed, locked, pair, perform, servers, sketch, until};

/// Above what a receiver may take to end, below what MariaDB would make of it.
const PROMPT: Duration = Duration::from_secs(12);

on_both!(
    a_replica_becomes_a_primary,
    a_primary_becomes_a_replica,
    threads_stop_and_start,
    a_severed_receiver_receives_nothing,
    a_receiver_whose_source_falls_silent_as_it_lets_it_in_is_ended,
    other_channels_are_left_alone,
    waiting_is_bounded,
    a_channel_keeps_its_heartbeats,
    semi_sync_is_switched,
    commands_are_idempotent,
    what_is_refused_is_told,
);

fn is_receiving(facts: &ServerFacts) -> bool {
    facts
        .channels
        .iter()
        .all(|channel| channel.receiver == ThreadState::Running)
}

fn has_stopped(facts: &ServerFacts) -> bool {
    let mut channels = facts.channels.iter();
    channels.all(|channel| channel.receiver == ThreadState::Stopped)
}

fn is_replicating(facts: &ServerFacts) -> bool {
    !facts.channels.is_empty()
        && facts
            .channels
            .iter()
            .all(baton_core::model::Channel::is_replicating)
}

fn all() -> Option<String> {
    None
}

async fn a_replica_becomes_a_primary(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let r1 = &topology["r1"];
    let mut session = locked(r1).await;
    perform(
        session.as_mut(),
        ServerCommand::StopReceivers { channel: all() },
    )
    .await;
    let set = executed(&topology["p1"]);
    perform(
        session.as_mut(),
        ServerCommand::WaitApplied { set, limit: LIMIT },
    )
    .await;
    perform(
        session.as_mut(),
        ServerCommand::ForgetReplication { channel: all() },
    )
    .await;
    session.arm(LONG, LIMIT).await.unwrap();
    perform(session.as_mut(), ServerCommand::OpenWrites(LONG)).await;
    let facts = session.read(LIMIT).await.unwrap().facts;
    assert!(
        facts.is_writable() && facts.channels.is_empty() && facts.super_read_only != Some(true)
    );
    r1.query_as(Account::App, "CREATE TABLE app.after (id INT PRIMARY KEY)")
        .unwrap();
}

/// The whole way: the old primary wrote by itself, is fenced, and follows the new one.
async fn a_primary_becomes_a_replica(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    p1.exec("CREATE TABLE app.t (id INT PRIMARY KEY); INSERT INTO app.t VALUES (1)")
        .unwrap();
    let (mut old, mut new) = (locked(p1).await, locked(r1).await);
    perform(
        old.as_mut(),
        ServerCommand::Fence {
            kill_writers: false,
        },
    )
    .await;
    assert!(
        p1.query_as(Account::App, "INSERT INTO app.t VALUES (2)")
            .is_err()
    );
    perform(
        new.as_mut(),
        ServerCommand::WaitApplied {
            set: executed(p1),
            limit: LIMIT,
        },
    )
    .await;
    perform(
        new.as_mut(),
        ServerCommand::ForgetReplication { channel: all() },
    )
    .await;
    new.arm(LONG, LIMIT).await.unwrap();
    perform(new.as_mut(), ServerCommand::OpenWrites(LONG)).await;
    r1.query_as(Account::App, "INSERT INTO app.t VALUES (3)")
        .unwrap();

    let point = ServerCommand::PointAt {
        channel: String::new(),
        source: address(r1),
        start: true,
        configured_account: false,
    };
    for _ in 0..2 {
        perform(old.as_mut(), point.clone()).await;
        until(old.as_mut(), "the old primary replicates", is_replicating).await;
        perform(
            old.as_mut(),
            ServerCommand::WaitApplied {
                set: executed(r1),
                limit: LIMIT,
            },
        )
        .await;
    }
    assert_eq!(p1.scalar("SELECT COUNT(*) FROM app.t").unwrap(), "2");
    let facts = old.read(LIMIT).await.unwrap().facts;
    assert_eq!(facts.channels[0].source, Some(address(r1)));
    assert!(facts.channels[0].auto_position && facts.executed.contains(&executed(r1)));
    r1.query_as(Account::App, "INSERT INTO app.t VALUES (4)")
        .unwrap();
    perform(
        old.as_mut(),
        ServerCommand::WaitApplied {
            set: executed(r1),
            limit: LIMIT,
        },
    )
    .await;
}

async fn a_severed_receiver_receives_nothing(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let mut session = locked(r1).await;
    // A source that hangs would keep a receiver that is stopped; this one does not wait for it.
    p1.freeze().unwrap();
    perform(
        session.as_mut(),
        ServerCommand::SeverReceivers { channel: all() },
    )
    .await;
    perform(
        session.as_mut(),
        ServerCommand::SeverReceivers { channel: all() },
    )
    .await;
    let before = session.read(LIMIT).await.unwrap().facts.executed;
    p1.thaw().unwrap();
    p1.exec("CREATE DATABASE after_the_cut").unwrap();
    until(session.as_mut(), "its thread ends", has_stopped).await;
    let after = session.read(LIMIT).await.unwrap().facts;
    assert_eq!(after.executed, before);
    assert_eq!(after.channels.len(), 1, "the channel is kept");
    perform(
        session.as_mut(),
        ServerCommand::StartReceivers { channel: all() },
    )
    .await;
    until(session.as_mut(), "it receives again", is_receiving).await;
}

/// MariaDB would wait for it for 23 s, with the session that holds the lock, which could not be
/// ended: for that long there was no majority to replace a primary that was cut off just then.
async fn a_receiver_whose_source_falls_silent_as_it_lets_it_in_is_ended(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let gate = Gate::to(p1).await;
    let mut session = locked(r1).await;
    let start = ServerCommand::StartReceivers { channel: all() };
    let point = ServerCommand::PointAt {
        channel: String::new(),
        source: gate.address.clone(),
        start: true,
        configured_account: false,
    };
    perform(session.as_mut(), point).await;
    gate.holds_one().await;
    let stop = ServerCommand::StopReceivers { channel: all() };
    session.perform(&stop, PROMPT).await.unwrap();

    perform(session.as_mut(), start).await;
    gate.holds_one().await;
    let sever = ServerCommand::SeverReceivers { channel: all() };
    session.perform(&sever, PROMPT).await.unwrap();
    let before = session.read(LIMIT).await.unwrap().facts.executed;
    p1.exec("CREATE DATABASE after_the_cut").unwrap();
    gate.open.send_replace(true);
    until(session.as_mut(), "its thread ends", has_stopped).await;
    assert_eq!(session.read(LIMIT).await.unwrap().facts.executed, before);
}

async fn threads_stop_and_start(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let mut session = locked(&topology["r1"]).await;
    perform(
        session.as_mut(),
        ServerCommand::StopReceivers { channel: all() },
    )
    .await;
    let channel = session.read(LIMIT).await.unwrap().facts.channels.remove(0);
    assert_eq!(
        (channel.receiver, channel.applier),
        (ThreadState::Stopped, ThreadState::Running)
    );
    perform(
        session.as_mut(),
        ServerCommand::StartReceivers {
            channel: Some(String::new()),
        },
    )
    .await;
    until(session.as_mut(), "it receives", is_receiving).await;
    perform(
        session.as_mut(),
        ServerCommand::ReconnectReceiver {
            channel: String::new(),
        },
    )
    .await;
    until(session.as_mut(), "it receives again", is_receiving).await;
    perform(
        session.as_mut(),
        ServerCommand::StopReplication { channel: all() },
    )
    .await;
    let channel = session.read(LIMIT).await.unwrap().facts.channels.remove(0);
    assert_eq!(
        (channel.receiver, channel.applier),
        (ThreadState::Stopped, ThreadState::Stopped)
    );
    perform(
        session.as_mut(),
        ServerCommand::StartAppliers { channel: None },
    )
    .await;
    let channel = session.read(LIMIT).await.unwrap().facts.channels.remove(0);
    assert_eq!(
        (channel.receiver, channel.applier),
        (ThreadState::Stopped, ThreadState::Running)
    );
    // What a node leaves that ends in the middle of a reconnection; the next one reconnects again.
    perform(
        session.as_mut(),
        ServerCommand::ReconnectReceiver {
            channel: String::new(),
        },
    )
    .await;
    until(
        session.as_mut(),
        "a halted receiver is started",
        is_receiving,
    )
    .await;
    perform(
        session.as_mut(),
        ServerCommand::StopReplication { channel: all() },
    )
    .await;
    perform(
        session.as_mut(),
        ServerCommand::StartReplication { channel: all() },
    )
    .await;
    until(session.as_mut(), "it replicates", is_replicating).await;
}

async fn other_channels_are_left_alone(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "a\nb\nr1 <- a, b");
    let mut session = locked(&topology["r1"]).await;
    let only = |name: &str| Some(name.to_owned());
    perform(
        session.as_mut(),
        ServerCommand::StopReceivers { channel: only("a") },
    )
    .await;
    let channels = session.read(LIMIT).await.unwrap().facts.channels;
    assert_eq!(
        (channels[0].receiver, channels[1].receiver),
        (ThreadState::Stopped, ThreadState::Running)
    );
    perform(
        session.as_mut(),
        ServerCommand::StopReceivers { channel: all() },
    )
    .await;
    let channels = session.read(LIMIT).await.unwrap().facts.channels;
    assert!(
        channels
            .iter()
            .all(|channel| channel.receiver == ThreadState::Stopped)
    );
    perform(
        session.as_mut(),
        ServerCommand::ForgetReplication { channel: only("a") },
    )
    .await;
    let channels = session.read(LIMIT).await.unwrap().facts.channels;
    assert_eq!(
        channels
            .iter()
            .map(|channel| channel.name.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
    perform(
        session.as_mut(),
        ServerCommand::ForgetReplication { channel: all() },
    )
    .await;
    assert_eq!(session.read(LIMIT).await.unwrap().facts.channels, []);
}

async fn waiting_is_bounded(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let mut session = locked(r1).await;
    perform(
        session.as_mut(),
        ServerCommand::StopReplication { channel: all() },
    )
    .await;
    p1.exec("CREATE TABLE app.t (id INT PRIMARY KEY)").unwrap();
    let set = executed(p1);
    let begun = Instant::now();
    let wait = |limit| ServerCommand::WaitApplied {
        set: set.clone(),
        limit,
    };
    let outcome = session
        .perform(&wait(Duration::from_millis(300)), LIMIT)
        .await;
    assert!(
        matches!(outcome, Err(StatementError::NotReached { .. })),
        "{outcome:?}"
    );
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(290) && took < LIMIT / 2,
        "{took:?}"
    );
    // The session is still good, and the caller's own limit counts, too.
    let outcome = session
        .perform(&wait(LIMIT), Duration::from_millis(200))
        .await;
    assert!(
        matches!(outcome, Err(StatementError::NotReached { .. })),
        "{outcome:?}"
    );
    perform(
        session.as_mut(),
        ServerCommand::StartReplication { channel: all() },
    )
    .await;
    perform(session.as_mut(), wait(LIMIT)).await;
}

async fn a_channel_keeps_its_heartbeats(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    r1.exec(match flavor {
        Flavor::MariaDb => "STOP SLAVE; CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD=2.5; START SLAVE",
        Flavor::MySql => {
            "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD=2.5; START REPLICA"
        }
    })
    .unwrap();
    let point = |server: &baton_sandbox::Server| ServerCommand::PointAt {
        channel: String::new(),
        source: address(server),
        start: true,
        configured_account: false,
    };
    let mut session = locked(r1).await;
    perform(session.as_mut(), point(p1)).await;
    let facts = until(session.as_mut(), "it replicates", is_replicating).await;
    assert_eq!(
        facts.channels[0].heartbeat_period,
        Some(Duration::from_millis(2500))
    );

    // One that had none, as far as anybody knows, gets short ones.
    perform(
        session.as_mut(),
        ServerCommand::ForgetReplication { channel: all() },
    )
    .await;
    drop(session);
    let mut session = servers().act(&address(r1), LOCK, LIMIT).await.unwrap();
    perform(session.as_mut(), point(p1)).await;
    let facts = until(session.as_mut(), "it replicates", is_replicating).await;
    assert_eq!(
        facts.channels[0].heartbeat_period,
        Some(Duration::from_secs(1))
    );
}

async fn semi_sync_is_switched(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let mut primary = locked(p1).await;
    let on = ServerCommand::SetSemiSync {
        source: Some(true),
        replica: None,
    };
    if flavor == Flavor::MySql {
        let outcome = primary.perform(&on, LIMIT).await;
        assert!(
            matches!(outcome, Err(StatementError::Refused { .. })),
            "no plugin: {outcome:?}"
        );
        p1.exec("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
            .unwrap();
        r1.exec("SET GLOBAL super_read_only=0; INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'").unwrap();
        // A reading notices.
        assert!(primary.read(LIMIT).await.unwrap().facts.semi_sync.is_some());
    }
    perform(primary.as_mut(), on).await;
    let mut replica = locked(r1).await;
    let acknowledge = ServerCommand::SetSemiSync {
        source: None,
        replica: Some(true),
    };
    perform(replica.as_mut(), acknowledge.clone()).await;
    let clients = |wanted| {
        move |facts: &ServerFacts| {
            facts
                .semi_sync
                .as_ref()
                .is_some_and(|s| s.clients == wanted)
        }
    };
    until(primary.as_mut(), "the replica acknowledges", clients(1)).await;
    // Switched off and on by hand: the role is there, and the receiver, which was not asked,
    // acknowledges nothing.
    let name = match flavor {
        Flavor::MySql => "rpl_semi_sync_replica_enabled",
        Flavor::MariaDb => "rpl_semi_sync_slave_enabled",
    };
    let stop = ServerCommand::StopReceivers { channel: all() };
    perform(replica.as_mut(), stop).await;
    r1.exec(&format!("SET GLOBAL {name}=0")).unwrap();
    let start = ServerCommand::StartReceivers { channel: all() };
    perform(replica.as_mut(), start).await;
    // A receiver counts as running a moment before it says to its source whether it acknowledges.
    wait_until("it receives", LIMIT, || {
        let channels = r1.replica_status()?;
        let states = ["Replica_IO_State", "Slave_IO_State"];
        let state = channels
            .iter()
            .find_map(|row| states.iter().find_map(|name| row.get(name)));
        Ok(state.is_some_and(|state| state.ends_with("to send event")))
    })
    .unwrap();
    r1.exec(&format!("SET GLOBAL {name}=1")).unwrap();
    let facts = replica.read(LIMIT).await.unwrap().facts;
    let has_role = |facts: &ServerFacts| {
        facts
            .semi_sync
            .as_ref()
            .map(|s| (s.replica_enabled, s.replica_active))
    };
    assert_eq!(has_role(&facts), Some((true, false)));
    perform(replica.as_mut(), acknowledge).await;
    until(primary.as_mut(), "it acknowledges again", clients(1)).await;
    perform(
        replica.as_mut(),
        ServerCommand::SetSemiSync {
            source: None,
            replica: Some(false),
        },
    )
    .await;
    until(primary.as_mut(), "it does not any more", clients(0)).await;
    perform(
        primary.as_mut(),
        ServerCommand::SetSemiSync {
            source: Some(false),
            replica: None,
        },
    )
    .await;
    let facts = primary.read(LIMIT).await.unwrap().facts;
    assert!(
        facts
            .semi_sync
            .is_some_and(|semi_sync| !semi_sync.source_enabled)
    );
}

async fn commands_are_idempotent(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let mut session = locked(r1).await;
    session.arm(LONG, LIMIT).await.unwrap();
    let twice = [
        ServerCommand::StopReceivers { channel: all() },
        ServerCommand::StartReceivers { channel: all() },
        ServerCommand::StopReplication {
            channel: Some(String::new()),
        },
        ServerCommand::StartReplication { channel: all() },
        ServerCommand::StartAppliers { channel: None },
        ServerCommand::Fence {
            kill_writers: false,
        },
        ServerCommand::Fence { kill_writers: true },
        ServerCommand::PointAt {
            channel: String::new(),
            source: address(p1),
            start: true,
            configured_account: true,
        },
        ServerCommand::ForgetReplication { channel: all() },
        ServerCommand::StopReceivers { channel: all() },
        ServerCommand::StopReplication {
            channel: Some("nobody".into()),
        },
        ServerCommand::ForgetReplication {
            channel: Some("nobody".into()),
        },
        ServerCommand::ForgetReplication {
            channel: Some(String::new()),
        },
        ServerCommand::OpenWrites(LONG),
    ];
    for command in twice {
        perform(session.as_mut(), command.clone()).await;
        perform(session.as_mut(), command).await;
    }
    assert_eq!(session.read(LIMIT).await.unwrap().facts.channels, []);
}

async fn what_is_refused_is_told(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let mut primary = locked(p1).await;
    for command in [
        ServerCommand::StartReplication { channel: all() },
        ServerCommand::StartReceivers { channel: all() },
    ] {
        let outcome = primary.perform(&command, LIMIT).await;
        assert!(
            matches!(outcome, Err(StatementError::Refused { .. })),
            "{command:?}: {outcome:?}"
        );
    }
    // Without a configured account a server that was no replica cannot be given one.
    let mut settings = common::settings();
    settings.replication = None;
    let servers = baton_mysql::MysqlServers::new(settings, common::clock());
    let mut session = servers
        .act(&address(p1), "baton:other", LIMIT)
        .await
        .unwrap();
    let point = ServerCommand::PointAt {
        channel: String::new(),
        source: address(r1),
        start: true,
        configured_account: false,
    };
    let outcome = session.perform(&point, LIMIT).await;
    assert!(
        matches!(outcome, Err(StatementError::Refused { .. })),
        "{outcome:?}"
    );
}
