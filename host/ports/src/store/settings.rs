//! What operators set.

use async_trait::async_trait;
use baton_core::ids::ServerId;
use baton_core::model::{Downtime, PromotionRule};
use baton_core::time::WallTime;

use super::StoreError;

/// Operators' settings: promotion rules, downtimes, the global switch. Setting one for an unknown
/// server is a [`StoreError::Conflict`].
#[async_trait]
pub trait OperatorSettings: Send + Sync {
    /// Sets the promotion rule of a server, and when it ends; `None` = never.
    async fn set_promotion(
        &self,
        id: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
    ) -> Result<(), StoreError>;
    /// Downtimes that have not ended at `now`.
    async fn downtimes(&self, now: WallTime) -> Result<Vec<(ServerId, Downtime)>, StoreError>;
    /// Sets or ends (`None`) a downtime. Ending one that does not exist does nothing.
    async fn set_downtime(
        &self,
        id: &ServerId,
        downtime: Option<&Downtime>,
    ) -> Result<(), StoreError>;
    /// The global switch; `true` if recoveries are enabled, which they are at first.
    async fn recoveries_enabled(&self) -> Result<bool, StoreError>;
    /// Sets the global switch.
    async fn set_recoveries_enabled(&self, enabled: bool) -> Result<(), StoreError>;
}
