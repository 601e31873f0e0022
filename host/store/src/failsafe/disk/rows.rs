//! Reading the local disk at the start, and removing what was handed over: SQL that only this one file is asked.

use std::collections::BTreeMap;

use baton_core::ids::{LeaseEpoch, RecoveryId};
use baton_ports::StoreError;
use baton_ports::prelude::*;

use super::{Mirror, Subject};
use crate::failure::Refusal;
use crate::session::{Backend as _, Session};
use crate::store::{SqliteStore, finish, write};
use crate::value::values;

const LEASES: &str = "SELECT name, epoch FROM baton_lease";
const AUDITS: &str = "SELECT COUNT(*) FROM baton_audit";
const DROP_AUDIT: &str =
    "DELETE FROM baton_audit WHERE number = (SELECT MIN(number) FROM baton_audit)";
const DROP_STEPS: &str = "DELETE FROM baton_step WHERE recovery_id = ?";
const DROP_RECOVERY: &str = "DELETE FROM baton_recovery WHERE id = ?";

/// Reads everything, and the epochs of the leases.
pub(super) async fn load(
    store: &SqliteStore,
) -> Result<(Mirror, BTreeMap<String, LeaseEpoch>), StoreError> {
    let mut mirror = Mirror::default();
    for row in store.recoveries(None, 0, u32::MAX).await? {
        mirror.miss(&Subject::Recovery(row.id.clone()));
        mirror.recoveries.insert(row.id.clone(), row);
    }
    for row in store.clusters().await? {
        mirror.clusters.insert(row.id.clone(), row);
    }
    for route in store.routes().await? {
        mirror.routes.insert(route.key.clone(), route);
    }
    if !mirror.clusters.is_empty() || !mirror.routes.is_empty() {
        mirror.miss(&Subject::Intents);
    }
    let (audits, epochs) = write!(store, "reading the local journal", |session| counts(
        session
    ))?;
    mirror.audits = audits;
    Ok((mirror, epochs))
}

async fn counts(session: &mut dyn Session) -> Result<(u32, BTreeMap<String, LeaseEpoch>), Refusal> {
    let mut audits = 0;
    for mut row in session.fetch(AUDITS, Vec::new()).await? {
        audits = row.number("COUNT(*)")?;
    }
    let mut epochs = BTreeMap::new();
    for mut row in session.fetch(LEASES, Vec::new()).await? {
        let name = row.text("baton_lease.name")?;
        epochs.insert(name, row.epoch("baton_lease.epoch")?);
    }
    Ok((audits, epochs))
}

/// Removes the oldest audit line.
pub(super) async fn drop_oldest_audit(store: &SqliteStore) -> Result<(), StoreError> {
    write!(store, "removing a line from the local journal", |session| {
        run(session, DROP_AUDIT)
    })
}

async fn run(session: &mut dyn Session, sql: &'static str) -> Result<(), Refusal> {
    session.execute(sql, Vec::new()).await?;
    Ok(())
}

/// Removes a recovery and its lines.
pub(super) async fn remove_recovery(
    store: &SqliteStore,
    id: &RecoveryId,
) -> Result<(), StoreError> {
    write!(
        store,
        "removing a recovery from the local journal",
        |session| { remove(session, id) }
    )
}

async fn remove(session: &mut dyn Session, id: &RecoveryId) -> Result<(), Refusal> {
    session.execute(DROP_STEPS, values![id]).await?;
    session.execute(DROP_RECOVERY, values![id]).await?;
    Ok(())
}
