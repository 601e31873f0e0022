//! Rows to play with.

use std::time::Duration;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_core::time::WallTime;
use baton_ports::{AuditRecord, Claim, JournalEntry, JournalStage, RecoveryRecord, Store};

pub(crate) const LEASE: &str = "act";
pub(crate) const TTL: Duration = Duration::from_secs(5);

pub(crate) fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

/// Takes the lease, whoever has it.
pub(crate) async fn take(store: &dyn Store, name: &str) -> LeaseEpoch {
    let seen = store.lease(LEASE).await.unwrap();
    let seen = seen.map(|state| (state.epoch, state.renewals));
    let name = node(name);
    let claim = store.claim_lease(LEASE, &name, TTL, seen, LeaseEpoch(0));
    match claim.await.unwrap() {
        Claim::Held(state) => state.epoch,
        Claim::Other(state) => panic!("not granted: {state:?}"),
    }
}

pub(crate) fn recovery(id: &str, epoch: LeaseEpoch) -> RecoveryRecord {
    RecoveryRecord {
        id: RecoveryId::new(id),
        number: 0,
        cluster: ClusterId::new(format!("cluster of {id}")),
        cluster_name: "orders".to_owned(),
        kind: RecoveryKind::Failover,
        finding: "primary-dead".to_owned(),
        subject: ServerId::new("db1:3306"),
        subject_address: Address::new("db1", 3306).unwrap(),
        successor: None,
        successor_address: None,
        outcome: RecoveryOutcome::Running,
        automatic: true,
        node: node("n1"),
        epoch,
        started: WallTime::from_millis(1),
        ended: None,
        lost: Vec::new(),
        errors: Vec::new(),
        decision: "{}".to_owned(),
        acknowledged: None,
        committed: false,
    }
}

pub(crate) fn line(step: u32) -> JournalEntry {
    JournalEntry {
        step,
        phase: "promote".to_owned(),
        stage: JournalStage::Begun,
        server: None,
        text: "make db2 writable".to_owned(),
        at: WallTime::from_millis(1),
        since_trigger_us: 7,
    }
}

pub(crate) fn audit(text: &str) -> AuditRecord {
    AuditRecord {
        at: WallTime::from_millis(1),
        kind: "discover".to_owned(),
        server: None,
        cluster: None,
        by: "ann".to_owned(),
        text: text.to_owned(),
    }
}
