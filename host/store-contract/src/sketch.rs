//! Records for tests of stores.

use std::time::Duration;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{PromotionRule, RecoveryKind, RecoveryOutcome};
use baton_core::time::WallTime;
use baton_ports::{
    AuditRecord, Claim, JournalEntry, JournalStage, LeaseState, RecoveryRecord, ServerRecord,
    Store, StoreError,
};

use crate::must;

/// The lease that the tests use.
pub const LEASE: &str = "act";
/// Its time to live.
pub const TTL: Duration = Duration::from_secs(5);

/// A node's name.
pub fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

/// A cluster's identity.
pub fn cluster(name: &str) -> ClusterId {
    ClusterId::new(name)
}

/// A time.
pub fn at(millis: u64) -> WallTime {
    WallTime::from_millis(millis)
}

/// An address, with MySQL's port.
///
/// # Panics
/// If `host` is not the name of a host.
pub fn address(host: &str) -> Address {
    match Address::new(host, 3306) {
        Ok(address) => address,
        Err(error) => panic!("{error}"),
    }
}

/// The identity of the server on `host`.
pub fn server_id(host: &str) -> ServerId {
    ServerId::new(address(host).to_string())
}

/// A server of the cluster `of`.
pub fn server(host: &str, of: Option<&str>) -> ServerRecord {
    ServerRecord {
        id: server_id(host),
        address: address(host),
        uid: Some(format!("uid-{host}")),
        cluster: of.map(cluster),
        last_seen: Some(at(1_700_000_000_123)),
        aliases: vec![address("alias.example"), address("::1")],
        promotion: PromotionRule::Neutral,
        promotion_expires: None,
        quarantine: None,
    }
}

/// A running failover of `of`, under `epoch`.
pub fn recovery(id: &str, of: &str, epoch: LeaseEpoch) -> RecoveryRecord {
    RecoveryRecord {
        id: RecoveryId::new(id),
        number: 0,
        cluster: cluster(of),
        cluster_name: format!("{of} by name"),
        kind: RecoveryKind::Failover,
        finding: "primary-dead".to_owned(),
        subject: server_id("db1"),
        subject_address: address("db1"),
        successor: None,
        successor_address: None,
        outcome: RecoveryOutcome::Running,
        automatic: true,
        node: node("n1"),
        epoch,
        started: at(1000),
        ended: None,
        lost: Vec::new(),
        errors: Vec::new(),
        decision: "{\"finding\":\"primary-dead\"}".to_owned(),
        acknowledged: None,
        committed: false,
    }
}

/// The same, ended well.
pub fn ended(row: &RecoveryRecord) -> RecoveryRecord {
    RecoveryRecord {
        successor: Some(server_id("db2")),
        successor_address: Some(address("db2")),
        outcome: RecoveryOutcome::Succeeded,
        ended: Some(at(2000)),
        lost: vec![server_id("db3"), server_id("db4")],
        errors: vec!["db3 did not answer".to_owned()],
        committed: true,
        ..row.clone()
    }
}

/// A journal line.
pub fn line(step: u32, stage: JournalStage) -> JournalEntry {
    JournalEntry {
        step,
        phase: "promote".to_owned(),
        stage,
        server: Some(server_id("db2")),
        text: format!("step {step}"),
        at: at(1500 + u64::from(step)),
        since_trigger_us: 1234 * u64::from(step),
    }
}

/// Takes the lease for `name`, whoever has it.
pub async fn take(store: &dyn Store, name: &str) -> LeaseState {
    take_of(store, LEASE, name).await
}

/// Takes the lease `lease` for `name`, whoever has it.
///
/// # Panics
/// If the store does not grant it.
pub async fn take_of(store: &dyn Store, lease: &str, name: &str) -> LeaseState {
    let seen = must(store.lease(lease).await).map(|state| (state.epoch, state.renewals));
    match must(claim(store, lease, name, seen).await) {
        Claim::Held(state) => state,
        Claim::Other(state) => panic!("the lease was not granted: {state:?}"),
    }
}

/// Claims, as often as the store says that it should be tried again.
pub async fn claim(
    store: &dyn Store,
    lease: &str,
    name: &str,
    seen: Option<(LeaseEpoch, u64)>,
) -> Result<Claim, StoreError> {
    loop {
        match store
            .claim_lease(lease, &node(name), TTL, seen, LeaseEpoch::default())
            .await
        {
            Err(StoreError::Retry { .. }) => {}
            other => return other,
        }
    }
}

/// A journal line of about 200 bytes.
pub fn long_line(step: u32) -> JournalEntry {
    JournalEntry {
        step,
        phase: "promote".to_owned(),
        stage: JournalStage::Begun,
        server: None,
        text: "x".repeat(200),
        at: at(1),
        since_trigger_us: 0,
    }
}

/// An audit line of about `bytes` bytes.
pub fn audit(number: u64, bytes: usize) -> AuditRecord {
    AuditRecord {
        at: at(number),
        kind: "discover".to_owned(),
        server: None,
        cluster: None,
        by: "ann".to_owned(),
        text: "x".repeat(bytes),
    }
}
