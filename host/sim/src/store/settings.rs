//! Operators' settings.

use async_trait::async_trait;
use baton_core::ids::ServerId;
use baton_core::model::{Downtime, PromotionRule};
use baton_core::time::WallTime;
use baton_ports::{OperatorSettings, StoreError};

use crate::link::{READ_PATIENCE, SimStore};

#[async_trait]
impl OperatorSettings for SimStore {
    async fn set_promotion(
        &self,
        id: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "setting a promotion rule";
        self.enter(OPERATION).await?;
        let mut tables = self.lock();
        let row = tables.server(OPERATION, id)?;
        row.promotion = rule;
        row.promotion_expires = expires;
        Ok(())
    }

    async fn downtimes(&self, now: WallTime) -> Result<Vec<(ServerId, Downtime)>, StoreError> {
        self.enter_somewhere("reading downtimes", READ_PATIENCE)
            .await?;
        let tables = self.lock();
        let open = tables
            .downtimes
            .iter()
            .filter(|(_, downtime)| downtime.ends > now);
        Ok(open
            .map(|(id, downtime)| (id.clone(), downtime.clone()))
            .collect())
    }

    async fn set_downtime(
        &self,
        id: &ServerId,
        downtime: Option<&Downtime>,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "setting a downtime";
        self.enter(OPERATION).await?;
        let mut tables = self.lock();
        let Some(downtime) = downtime else {
            tables.downtimes.remove(id);
            return Ok(());
        };
        tables.server(OPERATION, id)?;
        tables.downtimes.insert(id.clone(), downtime.clone());
        Ok(())
    }

    async fn recoveries_enabled(&self) -> Result<bool, StoreError> {
        self.enter_somewhere("reading the switch", READ_PATIENCE)
            .await?;
        Ok(!self.lock().disabled)
    }

    async fn set_recoveries_enabled(&self, enabled: bool) -> Result<(), StoreError> {
        self.enter("setting the switch").await?;
        self.lock().disabled = !enabled;
        Ok(())
    }
}
