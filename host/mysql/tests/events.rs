//! Scheduled events change places with the role, on real servers: once, on the primary, as they
//! were.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use baton_core::model::{EventState, Events, ServerFacts};
use baton_ports::{ActSession, ServerCommand, StatementError};
use baton_sandbox::{Flavor, Server, wait_until};
use common::{LIMIT, LONG, address, executed, locked, pair, perform, until};

on_both!(events_run_where_the_primary_is);

/// `Ã©` is what a client that says `latin1` and writes UTF-8 calls `é`: a name that is not the same
/// bytes in both.
const EVENTS: &str = "\
    CREATE TABLE app.runs (id INT AUTO_INCREMENT PRIMARY KEY, server INT); \
    CREATE USER owner@'%'; GRANT ALL ON app.* TO owner@'%'; \
    CREATE DEFINER=owner@'%' EVENT app.tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO runs (server) VALUES (@@server_id); \
    CREATE DEFINER=owner@'%' EVENT app.off ON SCHEDULE EVERY 1 SECOND DISABLE DO INSERT INTO runs (server) VALUES (0); \
    CREATE DEFINER=owner@'%' EVENT app.mine ON SCHEDULE EVERY 1 SECOND DISABLE ON SLAVE DO INSERT INTO runs (server) VALUES (0); \
    SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT', time_zone='+05:00'; \
    CREATE DEFINER=owner@'%' EVENT app.\"a `\"\"quoted\"\"` name\" ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' \
      ON COMPLETION PRESERVE COMMENT 'of a person' DO INSERT INTO runs (server) VALUES (length('a' || '\\')); \
    SET sql_mode='', character_set_client=latin1, collation_connection=latin1_german1_ci; \
    CREATE DEFINER=owner@'%' EVENT app.`é` ON SCHEDULE EVERY 1 DAY DO INSERT INTO runs (server) VALUES (length('é'))";

/// Everything of each event that is to stay, and its state.
fn shown(server: &Server) -> Vec<String> {
    let query = "SELECT EVENT_NAME, DEFINER, TIME_ZONE, EVENT_DEFINITION, INTERVAL_VALUE, SQL_MODE, STARTS, \
        ON_COMPLETION, EVENT_COMMENT, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, STATUS \
        FROM information_schema.EVENTS ORDER BY EVENT_NAME";
    let rows = server.query(query).unwrap();
    let line = |row: &baton_sandbox::Row| {
        let cells = (0..row.columns().len()).map(|at| row.at(at).unwrap_or("NULL"));
        cells.collect::<Vec<_>>().join(" | ")
    };
    rows.iter().map(line).collect()
}

fn runs_of(server: &Server, whose: &Server) -> u64 {
    let query = format!(
        "SELECT COUNT(*) FROM app.runs WHERE server = {}",
        whose.server_id()
    );
    server.scalar(&query).unwrap().parse().unwrap()
}

async fn events(session: &mut dyn ActSession) -> Events {
    let facts: ServerFacts = session.read(LIMIT).await.unwrap().facts;
    facts.events.expect("the account may look")
}

async fn events_run_where_the_primary_is(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    for server in [p1, r1] {
        server.exec("SET GLOBAL event_scheduler=ON").unwrap();
    }
    p1.exec(EVENTS).unwrap();
    wait_until("events run", LIMIT, || Ok(runs_of(p1, p1) > 0)).unwrap();
    r1.wait_for(p1, LIMIT).unwrap();
    let before = shown(p1);
    let (mut old, mut new) = (locked(p1).await, locked(r1).await);
    let known = events(old.as_mut()).await;
    assert!(known.scheduler);
    assert_eq!(known.enabled().count(), 3, "{known:?}");
    let copied = events(new.as_mut()).await;
    let all = copied.left_replica_disabled().count();
    assert_eq!(all, 5, "a replica cannot tell them apart: {copied:?}");
    let restore = ServerCommand::RestoreEvents {
        states: known.states.clone(),
        keep_decided: false,
    };
    let outcome = new.perform(&restore, LIMIT).await;
    assert!(
        matches!(outcome, Err(StatementError::Refused { .. })),
        "never before writes are open: {outcome:?}"
    );

    let kill_writers = false;
    perform(old.as_mut(), ServerCommand::Fence { kill_writers }).await;
    let set = executed(p1);
    let limit = LIMIT;
    perform(new.as_mut(), ServerCommand::WaitApplied { set, limit }).await;
    let forget = ServerCommand::ForgetReplication { channel: None };
    perform(new.as_mut(), forget).await;
    new.arm(LONG, LIMIT).await.unwrap();
    perform(new.as_mut(), ServerCommand::OpenWrites(LONG)).await;
    let at_the_fence = runs_of(p1, p1);
    let history = executed(p1);
    for _ in 0..2 {
        perform(old.as_mut(), ServerCommand::DisableEvents).await;
    }
    assert_eq!(executed(p1), history, "nothing of it is logged");
    let closed = events(old.as_mut()).await.enabled().count();
    // MySQL's closed server lets nobody change events, nor its events write.
    assert_eq!(closed, if flavor == Flavor::MySql { 3 } else { 0 });
    let point = ServerCommand::PointAt {
        channel: String::new(),
        source: address(r1),
        start: true,
        configured_account: true,
    };
    perform(old.as_mut(), point).await;
    for _ in 0..2 {
        perform(new.as_mut(), restore.clone()).await;
    }
    assert_eq!(shown(r1), before, "definers, modes and character sets stay");
    wait_until("events run again", LIMIT, || Ok(runs_of(r1, r1) > 1)).unwrap();
    p1.wait_for(r1, LIMIT).unwrap();
    assert_eq!(runs_of(r1, p1), at_the_fence, "they run once");
    assert_eq!(
        runs_of(r1, r1) + at_the_fence,
        rows(r1),
        "and nothing else runs"
    );
    // MySQL changes them by replication; what changed so is known a few seconds later.
    until(old.as_mut(), "no event is enabled", |facts| {
        let events = facts.events.as_ref();
        events.is_some_and(|events| events.enabled().count() == 0)
    })
    .await;
    assert!(executed(r1).contains(&executed(p1)), "nothing is errant");
    let ran = events(new.as_mut()).await;
    assert_eq!(ran.left_replica_disabled().count(), 0, "{ran:?}");
    // Somebody decides on the new primary; what is known of the old one does not change that.
    r1.exec("ALTER DEFINER=owner@'%' EVENT app.tick DISABLE ON SLAVE")
        .unwrap();
    let decided = shown(r1);
    let states = known.states.clone();
    let keep_decided = true;
    let again = ServerCommand::RestoreEvents {
        states,
        keep_decided,
    };
    perform(new.as_mut(), again).await;
    assert_eq!(shown(r1), decided);
    let mine = ran.states.iter().find(|(name, _)| name.name == "mine");
    let here = EventState::ReplicaDisabled { set_here: true };
    assert_eq!(mine.map(|(_, state)| *state), Some(here));
}

fn rows(server: &Server) -> u64 {
    let count = server.scalar("SELECT COUNT(*) FROM app.runs").unwrap();
    count.parse().unwrap()
}
