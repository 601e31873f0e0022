use std::collections::BTreeSet;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_core::time::WallTime;
use baton_ports::RecoveryRecord;

use super::left_behind;

fn ids(names: &[&str]) -> BTreeSet<ServerId> {
    names.iter().map(|name| ServerId::new(*name)).collect()
}

fn row(
    kind: RecoveryKind,
    subject: &str,
    outcome: RecoveryOutcome,
    lost: &[&str],
) -> RecoveryRecord {
    RecoveryRecord {
        id: RecoveryId::new("x"),
        number: 1,
        cluster: ClusterId::new("c"),
        cluster_name: "c".to_owned(),
        kind,
        finding: String::new(),
        subject: ServerId::new(subject),
        subject_address: Address::new("h", 3306).expect("an address"),
        successor: None,
        successor_address: None,
        outcome,
        automatic: true,
        node: NodeName::new("n"),
        epoch: LeaseEpoch(1),
        started: WallTime::from_millis(1),
        ended: Some(WallTime::from_millis(2)),
        lost: ids(lost).into_iter().collect(),
        errors: Vec::new(),
        decision: String::new(),
        acknowledged: None,
        committed: true,
    }
}

#[test]
fn a_later_recovery_settles_an_earlier_loss() {
    use RecoveryKind::{Failover, Rejoin};
    use RecoveryOutcome::{Failed, Succeeded};
    let lost = row(Failover, "p", Succeeded, &["a", "b"]);
    assert_eq!(left_behind([&lost]), ids(&["a", "b"]));
    let back = row(Rejoin, "a", Succeeded, &[]);
    assert_eq!(left_behind([&back, &lost]), ids(&["b"]));
    assert_eq!(left_behind([&lost, &back]), ids(&["a", "b"]), "lost again");
    let vain = row(Rejoin, "b", Failed, &[]);
    assert_eq!(left_behind([&vain, &vain, &lost]), ids(&["a", "b"]));
    assert_eq!(left_behind([&vain, &vain, &vain, &lost]), ids(&["a"]));
    let mut promoted = row(Failover, "q", Succeeded, &[]);
    promoted.successor = Some(ServerId::new("a"));
    assert_eq!(left_behind([&promoted, &lost]), ids(&["b"]));
}
