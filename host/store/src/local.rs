//! What a node's own file can do besides: removing what another store has by now.

use async_trait::async_trait;
use baton_core::ids::{LeaseEpoch, RecoveryId};
use baton_ports::{LocalStore, StoreError};

use crate::failure::{Failure, Refusal};
use crate::session::{Backend as _, Session};
use crate::store::{SqliteStore, finish, write};
use crate::value::{Row, values};

const EPOCHS: &str = "SELECT name, epoch FROM baton_lease ORDER BY name";
const AUDITS: &str = "SELECT COUNT(*) FROM baton_audit";
const REMOVE_AUDIT: &str =
    "DELETE FROM baton_audit WHERE number = (SELECT MIN(number) FROM baton_audit)";
const REMOVE_STEPS: &str = "DELETE FROM baton_step WHERE recovery_id = ?";
const REMOVE_RECOVERY: &str = "DELETE FROM baton_recovery WHERE id = ?";

#[async_trait]
impl LocalStore for SqliteStore {
    async fn epochs(&self) -> Result<Vec<(String, LeaseEpoch)>, StoreError> {
        self.all("reading the epochs of leases", EPOCHS, Vec::new(), epoch)
            .await
    }

    async fn audit_count(&self) -> Result<u32, StoreError> {
        let count = self.one("counting audit lines", AUDITS, Vec::new(), count);
        Ok(count.await?.unwrap_or(0))
    }

    async fn remove_oldest_audit(&self) -> Result<(), StoreError> {
        write!(self, "removing the oldest audit line", |session| {
            remove_audit(session)
        })
    }

    async fn remove_recovery(&self, id: &RecoveryId) -> Result<(), StoreError> {
        write!(self, "removing a recovery", |session| remove_recovery(
            session, id
        ))
    }

    async fn close(&self) {
        SqliteStore::close(self).await;
    }
}

fn epoch(mut row: Row) -> Result<(String, LeaseEpoch), Failure> {
    let name = row.text("baton_lease.name")?;
    Ok((name, row.epoch("baton_lease.epoch")?))
}

fn count(mut row: Row) -> Result<u32, Failure> {
    row.number("COUNT(*)")
}

async fn remove_audit(session: &mut dyn Session) -> Result<(), Refusal> {
    session.execute(REMOVE_AUDIT, Vec::new()).await?;
    Ok(())
}

async fn remove_recovery(session: &mut dyn Session, id: &RecoveryId) -> Result<(), Refusal> {
    session.execute(REMOVE_STEPS, values![id]).await?;
    session.execute(REMOVE_RECOVERY, values![id]).await?;
    Ok(())
}
