//! Operators' settings.

use async_trait::async_trait;
use baton_core::ids::ServerId;
use baton_core::model::{Downtime, PromotionRule};
use baton_core::time::WallTime;
use baton_ports::{OperatorSettings, StoreError};

use crate::failure::Refusal;
use crate::operations::{topology, wishes};
use crate::session::Backend;
use crate::store::{SqlStore, finish, write};
use crate::value::values;

#[async_trait]
impl<B: Backend> OperatorSettings for SqlStore<B> {
    async fn set_promotion(
        &self,
        id: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
    ) -> Result<(), StoreError> {
        write!(self, "setting a promotion rule", |session| {
            topology::set_promotion(session, id, rule, expires)
        })
    }

    async fn downtimes(&self, now: WallTime) -> Result<Vec<(ServerId, Downtime)>, StoreError> {
        self.all(
            "reading the downtimes",
            wishes::DOWNTIMES,
            values![now],
            wishes::read_downtime,
        )
        .await
    }

    async fn set_downtime(
        &self,
        id: &ServerId,
        downtime: Option<&Downtime>,
    ) -> Result<(), StoreError> {
        write!(self, "setting a downtime", |session| wishes::set_downtime(
            session, id, downtime
        ))
    }

    async fn recoveries_enabled(&self) -> Result<bool, StoreError> {
        const OPERATION: &str = "reading whether recoveries are enabled";
        let rows = self.rows(OPERATION, wishes::SWITCH, Vec::new()).await?;
        wishes::read_switch(rows).map_err(|failure| failure.during(OPERATION))
    }

    async fn set_recoveries_enabled(&self, enabled: bool) -> Result<(), StoreError> {
        write!(self, "setting whether recoveries are enabled", |session| {
            wishes::set_switch(session, enabled)
        })
    }
}
