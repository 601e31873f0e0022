//! Rows to play with.

use baton_core::ids::LeaseEpoch;
use baton_core::time::WallTime;
use baton_ports::{AuditRecord, Claim, JournalEntry, JournalStage, RecoveryRecord, Store};
use baton_store_contract::sketch;

pub(crate) use baton_store_contract::sketch::{LEASE, TTL, node};

/// Takes the lease, whoever has it, at the first try.
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
    sketch::recovery(id, &format!("cluster of {id}"), epoch)
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
