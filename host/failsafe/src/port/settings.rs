//! Operators' settings.

use async_trait::async_trait;
use baton_core::ids::ServerId;
use baton_core::model::{Downtime, PromotionRule};
use baton_core::time::WallTime;
use baton_ports::{OperatorSettings, StoreError};

use super::ANY_AGE;
use crate::FailsafeStore;

#[async_trait]
impl OperatorSettings for FailsafeStore {
    async fn set_promotion(
        &self,
        id: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
    ) -> Result<(), StoreError> {
        self.pass(
            "setting a promotion rule",
            self.shared.set_promotion(id, rule, expires),
        )
        .await?;
        self.copies.set_promotion(id, rule, expires);
        Ok(())
    }

    async fn downtimes(&self, now: WallTime) -> Result<Vec<(ServerId, Downtime)>, StoreError> {
        let copy = (&self.copies.downtimes, ANY_AGE);
        let all = self
            .read("reading the downtimes", copy, self.shared.downtimes(now))
            .await?;
        Ok(all
            .into_iter()
            .filter(|(_, downtime)| downtime.ends > now)
            .collect())
    }

    async fn set_downtime(
        &self,
        id: &ServerId,
        downtime: Option<&Downtime>,
    ) -> Result<(), StoreError> {
        self.pass("setting a downtime", self.shared.set_downtime(id, downtime))
            .await?;
        self.copies.set_downtime(id, downtime);
        Ok(())
    }

    /// The last answer counts for a limited time. A process that never read the switch has no
    /// answer.
    async fn recoveries_enabled(&self) -> Result<bool, StoreError> {
        const OPERATION: &str = "reading whether recoveries are enabled";
        let copy = (&self.copies.switch, self.options.switch_age_max);
        self.read(OPERATION, copy, self.shared.recoveries_enabled())
            .await
    }

    /// While the shared store is away, switching recoveries off takes effect on this node only, and
    /// the operator is told that it is not recorded.
    async fn set_recoveries_enabled(&self, enabled: bool) -> Result<(), StoreError> {
        if !enabled {
            self.copies.switch.set(false);
        }
        self.pass(
            "setting whether recoveries are enabled",
            self.shared.set_recoveries_enabled(enabled),
        )
        .await?;
        self.copies.switch.set(enabled);
        Ok(())
    }
}
