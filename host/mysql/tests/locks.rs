//! The cluster's lock and the guard that it makes, on real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::time::{Duration, Instant};

use baton_ports::{Guard, LockState, ServerCommand, Servers as _, StatementError};
use baton_sandbox::Flavor;
use common::{LIMIT, LOCK, LONG, address, locked, pair, perform, servers, sketch};

on_both!(
    the_guard_holds,
    a_killed_lock_opens_nothing,
    locks_exclude,
    a_holder_is_evicted,
);

async fn the_guard_holds(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let r1 = &topology["r1"];
    let open = ServerCommand::OpenWrites(LONG);
    let refused = |outcome: &Result<(), StatementError>| {
        matches!(outcome, Err(StatementError::GuardFailed { .. }))
    };

    let mut session = locked(r1).await;
    let outcome = session.perform(&open, LIMIT).await;
    assert!(refused(&outcome), "never armed: {outcome:?}");
    session
        .arm(
            Guard {
                within: Duration::ZERO,
            },
            LIMIT,
        )
        .await
        .unwrap();
    let outcome = session.perform(&open, LIMIT).await;
    assert!(refused(&outcome), "too late: {outcome:?}");

    let mut other = servers().act(&address(r1), LOCK, LIMIT).await.unwrap();
    other.arm(LONG, LIMIT).await.unwrap();
    let outcome = other.perform(&open, LIMIT).await;
    assert!(refused(&outcome), "without the lock: {outcome:?}");
    assert!(!r1.is_writable().unwrap());

    session.arm(LONG, LIMIT).await.unwrap();
    perform(session.as_mut(), open).await;
    assert!(r1.is_writable().unwrap());
}

async fn a_killed_lock_opens_nothing(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let r1 = &topology["r1"];
    let mut session = locked(r1).await;
    session.arm(LONG, LIMIT).await.unwrap();
    let holder = r1
        .scalar(&format!("SELECT IS_USED_LOCK('{LOCK}')"))
        .unwrap();
    r1.exec(&format!("KILL {holder}")).unwrap();
    let outcome = session
        .perform(&ServerCommand::OpenWrites(LONG), LIMIT)
        .await;
    assert!(
        matches!(outcome, Err(StatementError::OutcomeUnknown { .. })),
        "{outcome:?}"
    );
    assert!(!r1.is_writable().unwrap());
    // Its lock is free for another.
    locked(r1).await;
}

async fn locks_exclude(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = &topology["p1"];
    let mut first = servers().act(&address(p1), LOCK, LIMIT).await.unwrap();
    let mut second = servers().act(&address(p1), LOCK, LIMIT).await.unwrap();
    assert_eq!(first.verify_lock(LIMIT).await, Ok(LockState::Free));
    assert_eq!(first.take_lock(LIMIT).await, Ok(LockState::Held));
    assert_eq!(first.take_lock(LIMIT).await, Ok(LockState::Held));
    let holder = p1
        .scalar(&format!("SELECT IS_USED_LOCK('{LOCK}')"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(
        second.take_lock(LIMIT).await,
        Ok(LockState::HeldBy { connection: holder })
    );
    assert_eq!(
        second.verify_lock(LIMIT).await,
        Ok(LockState::HeldBy { connection: holder })
    );
    let mut unrelated = servers()
        .act(&address(p1), "baton:other", LIMIT)
        .await
        .unwrap();
    assert_eq!(unrelated.take_lock(LIMIT).await, Ok(LockState::Held));
    drop(first);
    let begun = Instant::now();
    while second.take_lock(LIMIT).await != Ok(LockState::Held) {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "a dropped session keeps its lock"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn a_holder_is_evicted(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = &topology["p1"];
    let mut old = locked(p1).await;
    let mut new = servers().act(&address(p1), LOCK, LIMIT).await.unwrap();
    let Ok(LockState::HeldBy { connection }) = new.take_lock(LIMIT).await else {
        panic!("the lock has a holder");
    };
    new.evict(connection, LIMIT).await.unwrap();
    new.evict(connection, LIMIT)
        .await
        .expect("a holder that is gone is no error");
    let begun = Instant::now();
    while new.take_lock(LIMIT).await != Ok(LockState::Held) {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "an evicted session keeps its lock"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(
        old.arm(LONG, LIMIT).await.is_err(),
        "the old session is at its end"
    );
}
