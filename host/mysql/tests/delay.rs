//! The delay of a channel is lifted and set back, on real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::time::{Duration, Instant};

use baton_core::model::{Channel, ServerFacts, ThreadState};
use baton_ports::ServerCommand;
use baton_sandbox::Flavor;
use common::{LIMIT, executed, locked, pair, perform, until};

on_both!(a_lifted_delay_keeps_what_was_received);

fn is_replicating(facts: &ServerFacts) -> bool {
    facts.channels.iter().all(Channel::is_replicating)
}

/// Its source is gone: what it received is nowhere else.
async fn a_lifted_delay_keeps_what_was_received(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let prefix = match flavor {
        Flavor::MariaDb => ("STOP SLAVE; CHANGE MASTER TO MASTER", "START SLAVE"),
        Flavor::MySql => (
            "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE",
            "START REPLICA",
        ),
    };
    r1.exec(&format!("{}_DELAY=3600; {}", prefix.0, prefix.1))
        .unwrap();
    let mut session = locked(r1).await;
    until(session.as_mut(), "it replicates", is_replicating).await;
    for number in 0..5 {
        p1.exec(&format!("CREATE DATABASE delayed_{number}"))
            .unwrap();
    }
    let wanted = executed(p1);
    let has_received = |facts: &ServerFacts| facts.possessed().missing_count(&wanted) == Some(0);
    until(session.as_mut(), "it has received all", has_received).await;
    p1.kill9().unwrap();
    let channel = Some(String::new());
    perform(session.as_mut(), ServerCommand::StopReceivers { channel }).await;
    let set = |seconds| ServerCommand::SetDelay {
        channel: String::new(),
        delay: Duration::from_secs(seconds),
    };
    let before = session.read(LIMIT).await.unwrap().facts.channels.remove(0);
    let begun = Instant::now();
    perform(session.as_mut(), set(0)).await;
    perform(session.as_mut(), set(0)).await;
    let has_applied = |facts: &ServerFacts| facts.executed.missing_count(&wanted) == Some(0);
    until(session.as_mut(), "it has applied all", has_applied).await;
    println!("lifted and applied within {:?}", begun.elapsed());
    let channel = session.read(LIMIT).await.unwrap().facts.channels.remove(0);
    assert_eq!(
        (channel.delay, channel.receiver, channel.applier),
        (Duration::ZERO, ThreadState::Stopped, ThreadState::Running)
    );
    assert!(channel.auto_position);
    perform(session.as_mut(), set(3600)).await;
    let channel = session.read(LIMIT).await.unwrap().facts.channels.remove(0);
    assert_eq!(channel.delay, Duration::from_hours(1));
    assert!(channel.auto_position);
    assert_eq!(channel.heartbeat_period, before.heartbeat_period);
}
