use std::time::Duration;

use super::*;
use crate::gtid::{Advance, GtidSet};
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{ProbeFailure, Reach, RecoveryKind, ThreadState, Topology};

#[test]
fn a_dead_primary_and_its_replicas() {
    let snapshot = snapshot(
        "
        cluster auto lease=7 active=failover:p1
        p1 primary silent refused 2s
        r1 <- p1 io=connecting missing=3 dc=b  # a comment
        r2 <- r1@main lag=45s <- elsewhere@side reconnected=1s rw
        ",
    );
    assert!(snapshot.control.automatic);
    assert_eq!(snapshot.control.lease, Some(LeaseEpoch(7)));
    assert_eq!(
        snapshot.control.active.as_ref().map(|a| a.kind),
        Some(RecoveryKind::Failover)
    );
    let [p1, r1, r2] = ["p1", "r1", "r2"].map(|name| &snapshot.servers[&ServerId::new(name)]);
    assert_eq!(snapshot.cluster.primary, Some(p1.id.clone()));
    assert_eq!(p1.probe.reach(), Reach::Silent);
    assert_eq!(p1.probe.failure, Some(ProbeFailure::Refused));
    let lost = p1.probe.failing_since.unwrap();
    assert_eq!(NOW.since(lost), Duration::from_secs(2));
    assert!(p1.facts_after(lost).is_none() && p1.last_facts().unwrap().is_writable());
    let facts = r1.facts_after(lost).unwrap();
    assert_eq!(facts.channels[0].receiver, ThreadState::Connecting);
    assert_eq!(
        facts.channels[0].receiver_error.as_ref().unwrap().number,
        2003
    );
    let primary_set = &p1.last_facts().unwrap().executed;
    assert_eq!(
        GtidSet::compare(&facts.executed, primary_set),
        Some(Advance::Behind(3))
    );
    assert_eq!(
        r2.reconnected_on("side"),
        Some(Timestamp::from_millis(99_999_000))
    );
    assert_eq!(
        r2.last_facts().unwrap().channels[0].lag,
        Some(Duration::from_secs(45))
    );
    let topology = Topology::of(&snapshot);
    assert_eq!(topology.source_of(&r1.id), Some(&p1.id));
    assert_eq!(topology.source_of(&r2.id), Some(&r1.id));
    assert_eq!(topology.channels_of(&r2.id)[1].source, None);
}

#[test]
fn mistakes_name_their_line() {
    let problem = |text: &str| parse(text).unwrap_err().to_string();
    assert_eq!(
        problem("p1 primery"),
        r#"sketch line "p1 primery": "primery" is no server word"#
    );
    assert_eq!(
        problem("r1 io=running"),
        r#"sketch line "r1 io=running": a channel word before `<-`"#
    );
    for bad in [
        "r1 <-",
        "r1 <- p1 io=dead",
        "p1 missing=x",
        "cluster sometimes",
        "p1 read=3",
    ] {
        assert!(parse(bad).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn mariadb_histories_can_be_compared() {
    let snapshot = snapshot(
        "
        p1 primary mariadb
        r1 <- p1 mariadb missing=4 errant=2
        ",
    );
    let executed = |name: &str| {
        snapshot
            .facts(&ServerId::new(name))
            .unwrap()
            .executed
            .clone()
    };
    assert_eq!(
        GtidSet::compare(&executed("r1"), &executed("p1")),
        Some(Advance::Diverged {
            ahead: 2,
            behind: 4
        })
    );
}
