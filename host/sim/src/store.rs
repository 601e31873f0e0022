//! The state store, simulated: the same refusals as the real one.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{Downtime, PromotionRule, RecoveryOutcome};
use baton_core::right::Voters;
use baton_core::time::WallTime;
use baton_ports::{
    AuditRecord, Claim, ClusterRow, JournalEntry, LeaseState, NodeRow, RecoveryRow, Route,
    ServerRow, StepRow, Store, StoreError,
};
use tokio::time::sleep;

use crate::link::{READ_PATIENCE, SimStore};
use crate::network::NodeId;
use crate::votes;

#[async_trait]
impl Store for SimStore {
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.enter("reading the lease").await?;
        Ok(self.lock().leases.get(name).cloned())
    }

    async fn highest_epoch(&self, name: &str) -> Result<LeaseEpoch, StoreError> {
        self.enter("reading the highest epoch").await?;
        let tables = self.lock();
        let row = tables.leases.get(name);
        Ok(row.map_or(LeaseEpoch::default(), |row| row.epoch))
    }

    async fn claim_lease(
        &self,
        name: &str,
        node: &NodeName,
        ttl: Duration,
        expected: Option<(LeaseEpoch, u64)>,
        highest: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        self.enter("claiming the lease").await?;
        let mut tables = self.lock();
        let old = tables.leases.get(name).cloned();
        if let Some(old) = &old {
            let free =
                old.holder.as_ref().is_none_or(|holder| holder == node) && old.epoch >= highest;
            if !free && expected != Some((old.epoch, old.renewals)) {
                return Ok(Claim::Other(old.clone()));
            }
        }
        let epoch = LeaseEpoch(old.map_or(0, |old| old.epoch.0).max(highest.0) + 1);
        let state = LeaseState {
            holder: Some(node.clone()),
            epoch,
            renewals: 0,
            ttl,
        };
        tables.leases.insert(name.to_owned(), state.clone());
        votes::note_grant(&mut tables.state, self.node, ttl);
        Ok(Claim::Held(state))
    }

    async fn renew_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        self.enter("renewing the lease").await?;
        let mut tables = self.lock();
        let Some(state) = tables.leases.get_mut(name) else {
            return Err(StoreError::Fenced {
                operation: "renewing the lease",
                epoch,
            });
        };
        if state.holder.as_ref() != Some(node) || state.epoch != epoch {
            return Ok(Claim::Other(state.clone()));
        }
        state.renewals += 1;
        let state = state.clone();
        votes::note_grant(&mut tables.state, self.node, state.ttl);
        Ok(Claim::Held(state))
    }

    async fn release_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        self.enter("releasing the lease").await?;
        let mut tables = self.lock();
        if let Some(state) = tables.leases.get_mut(name)
            && state.holder.as_ref() == Some(node)
            && state.epoch == epoch
        {
            state.holder = None;
            votes::note_release(&mut tables.state, self.node);
        }
        Ok(())
    }

    async fn servers(&self) -> Result<Vec<ServerRow>, StoreError> {
        self.enter_somewhere("reading servers", READ_PATIENCE)
            .await?;
        Ok(self.lock().servers.values().cloned().collect())
    }

    async fn put_servers(&self, rows: &[ServerRow]) -> Result<(), StoreError> {
        self.enter("writing servers").await?;
        let mut tables = self.lock();
        for row in rows {
            let old = tables.servers.get(&row.id).cloned();
            let mut row = row.clone();
            if let Some(old) = old {
                row.promotion = old.promotion;
                row.promotion_expires = old.promotion_expires;
                row.quarantine = old.quarantine;
            }
            tables.servers.insert(row.id.clone(), row);
        }
        Ok(())
    }

    async fn forget_server(&self, id: &ServerId) -> Result<bool, StoreError> {
        self.enter("forgetting a server").await?;
        Ok(self.lock().servers.remove(id).is_some())
    }

    async fn set_promotion(
        &self,
        id: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
    ) -> Result<(), StoreError> {
        self.enter("setting a promotion rule").await?;
        if let Some(row) = self.lock().servers.get_mut(id) {
            row.promotion = rule;
            row.promotion_expires = expires;
        }
        Ok(())
    }

    async fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) -> Result<(), StoreError> {
        self.enter("setting a quarantine").await?;
        if let Some(row) = self.lock().servers.get_mut(id) {
            row.quarantine = errant.map(str::to_owned);
        }
        Ok(())
    }

    async fn clusters(&self) -> Result<Vec<ClusterRow>, StoreError> {
        self.enter_somewhere("reading clusters", READ_PATIENCE)
            .await?;
        Ok(self.lock().clusters.values().cloned().collect())
    }

    async fn put_cluster(&self, id: &ClusterId, name: &str) -> Result<(), StoreError> {
        self.enter("writing a cluster").await?;
        let mut tables = self.lock();
        let taken = tables
            .clusters
            .values()
            .any(|row| row.name == name && row.id != *id);
        if taken {
            let conflict = format!("another cluster is named {name}");
            return Err(StoreError::Conflict {
                operation: "writing a cluster",
                conflict,
            });
        }
        let row = tables
            .clusters
            .entry(id.clone())
            .or_insert_with(|| ClusterRow {
                id: id.clone(),
                name: String::new(),
                primary: None,
                primary_epoch: LeaseEpoch::default(),
            });
        name.clone_into(&mut row.name);
        Ok(())
    }

    async fn forget_cluster(&self, id: &ClusterId) -> Result<(), StoreError> {
        self.enter("forgetting a cluster").await?;
        let mut tables = self.lock();
        tables.clusters.remove(id);
        tables.histories.remove(id);
        Ok(())
    }

    async fn set_primary(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        self.write("recording the primary", |tables| {
            tables.guard("recording the primary", lease, epoch)?;
            if let Some(row) = tables
                .clusters
                .get_mut(cluster)
                .filter(|row| row.primary_epoch <= epoch)
            {
                row.primary = Some(primary.clone());
                row.primary_epoch = epoch;
                tables.recorders.insert(cluster.clone(), self.node);
            }
            Ok(())
        })
        .await
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
        self.enter("setting a downtime").await?;
        let mut tables = self.lock();
        match downtime {
            Some(downtime) => tables.downtimes.insert(id.clone(), downtime.clone()),
            None => tables.downtimes.remove(id),
        };
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

    async fn beat(&self, node: &NodeRow) -> Result<(), StoreError> {
        self.enter("registering a node").await?;
        let mut tables = self.lock();
        let beats = tables.nodes.get(&node.name).map_or(0, |row| row.beats);
        let row = NodeRow {
            beats: beats + 1,
            ..node.clone()
        };
        tables.nodes.insert(node.name.clone(), row);
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        self.enter("reading the nodes").await?;
        Ok(self.lock().nodes.values().cloned().collect())
    }

    async fn forget_node(&self, name: &NodeName) -> Result<bool, StoreError> {
        self.enter("forgetting a node").await?;
        Ok(self.lock().nodes.remove(name).is_some())
    }

    async fn histories(&self) -> Result<Vec<(ClusterId, GtidSet)>, StoreError> {
        self.enter("reading histories").await?;
        Ok(self.lock().histories.clone().into_iter().collect())
    }

    async fn put_history(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        seen: &GtidSet,
    ) -> Result<(), StoreError> {
        self.enter("recording a history").await?;
        let mut tables = self.lock();
        tables.guard("recording a history", lease, epoch)?;
        tables.histories.insert(cluster.clone(), seen.clone());
        Ok(())
    }

    async fn voters(&self) -> Result<Vec<(ClusterId, Voters)>, StoreError> {
        self.enter_somewhere("reading the recorded members", READ_PATIENCE)
            .await?;
        let tables = self.lock();
        Ok(tables
            .voters
            .iter()
            .map(|(id, voters)| (id.clone(), voters.clone()))
            .collect())
    }

    async fn set_voters(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: &Voters,
    ) -> Result<(), StoreError> {
        self.enter("recording members").await?;
        let mut tables = self.lock();
        tables.guard("recording members", lease, epoch)?;
        tables.voters.insert(cluster.clone(), voters.clone());
        Ok(())
    }

    async fn begin_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<i64, StoreError> {
        self.write("beginning a recovery", |tables| {
            tables.guard("beginning a recovery", lease, row.epoch)?;
            let running = |r: &&RecoveryRow| {
                r.cluster == row.cluster && r.outcome == RecoveryOutcome::Running
            };
            if let Some(running) = tables.recoveries.iter().find(running) {
                let conflict = format!("recovery {} of the cluster is running", running.id);
                return Err(StoreError::Conflict {
                    operation: "beginning a recovery",
                    conflict,
                });
            }
            let number = i64::try_from(tables.recoveries.len()).unwrap_or(i64::MAX - 1) + 1;
            tables.recoveries.push(RecoveryRow {
                number,
                ..row.clone()
            });
            Ok(number)
        })
        .await
    }

    async fn update_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<(), StoreError> {
        self.write("recording a recovery", |tables| {
            tables.guard("recording a recovery", lease, row.epoch)?;
            if let Some(old) = tables.recoveries.iter_mut().find(|old| old.id == row.id) {
                let number = old.number;
                *old = RecoveryRow {
                    number,
                    ..row.clone()
                };
            }
            Ok(())
        })
        .await
    }

    async fn adopt_recovery(
        &self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        self.write("adopting a recovery", |tables| {
            tables.guard("adopting a recovery", lease, epoch)?;
            if let Some(row) = tables.recoveries.iter_mut().find(|row| row.id == *id) {
                row.node = node.clone();
                row.epoch = epoch;
            }
            Ok(())
        })
        .await
    }

    async fn journal(
        &self,
        lease: &str,
        recovery: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        self.write("writing the journal", |tables| {
            tables.guard("writing the journal", lease, epoch)?;
            for entry in entries {
                let number = i64::try_from(tables.steps.len()).unwrap_or(i64::MAX - 1) + 1;
                tables.steps.push(StepRow {
                    number,
                    recovery: recovery.clone(),
                    entry: entry.clone(),
                });
            }
            Ok(())
        })
        .await
    }

    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRow],
        steps: &[StepRow],
    ) -> Result<(), StoreError> {
        self.enter("taking over recoveries").await?;
        let mut tables = self.lock();
        tables.guard("taking over recoveries", lease, epoch)?;
        tables.merge_recoveries(rows, steps);
        Ok(())
    }

    async fn merge_intents(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        clusters: &[ClusterRow],
        routes: &[Route],
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "taking over primaries and routes";
        self.enter(OPERATION).await?;
        let mut tables = self.lock();
        tables.guard(OPERATION, lease, epoch)?;
        for row in clusters {
            if let Some(old) = tables.clusters.get_mut(&row.id)
                && old.primary_epoch <= row.primary_epoch
            {
                old.primary.clone_from(&row.primary);
                old.primary_epoch = row.primary_epoch;
            }
        }
        for route in routes {
            let old = tables.routes.get(&route.key);
            if old.is_none_or(|old| old.epoch <= route.epoch) {
                tables.routes.insert(route.key.clone(), route.clone());
            }
        }
        Ok(())
    }

    async fn running_recoveries(&self) -> Result<Vec<RecoveryRow>, StoreError> {
        self.enter_somewhere("reading running recoveries", READ_PATIENCE)
            .await?;
        let tables = self.lock();
        let running = tables
            .recoveries
            .iter()
            .filter(|row| row.outcome == RecoveryOutcome::Running);
        Ok(running.cloned().collect())
    }

    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRow>, StoreError> {
        self.enter_somewhere("reading recoveries", READ_PATIENCE)
            .await?;
        let late = self.world.change(|state| {
            let mine = |(node, _): &mut (NodeId, u64)| *node == self.node;
            state.late_reading.take_if(mine)
        });
        if let Some((_, late)) = late {
            sleep(Duration::from_millis(late)).await;
        }
        let (skip, limit) = (
            usize::try_from(skip).unwrap_or(0),
            usize::try_from(limit).unwrap_or(0),
        );
        let tables = self.lock();
        let rows = tables
            .recoveries
            .iter()
            .rev()
            .filter(|row| cluster.is_none_or(|c| row.cluster == *c));
        Ok(rows.skip(skip).take(limit).cloned().collect())
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRow>, StoreError> {
        self.enter_somewhere("reading a recovery", READ_PATIENCE)
            .await?;
        Ok(self
            .lock()
            .recoveries
            .iter()
            .find(|row| row.id == *id)
            .cloned())
    }

    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRow>, StoreError> {
        self.enter_somewhere("reading a journal", READ_PATIENCE)
            .await?;
        Ok(self
            .lock()
            .steps
            .iter()
            .filter(|step| step.recovery == *id)
            .cloned()
            .collect())
    }

    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        at: WallTime,
        comment: &str,
    ) -> Result<u64, StoreError> {
        self.enter("acknowledging").await?;
        let mut tables = self.lock();
        let mut count = 0;
        for row in &mut tables.recoveries {
            let meant =
                id.is_none_or(|id| row.id == *id) && cluster.is_none_or(|c| row.cluster == *c);
            if meant && row.ended.is_some() && row.acknowledged.is_none() {
                row.acknowledged = Some((by.to_owned(), at, comment.to_owned()));
                count += 1;
            }
        }
        Ok(count)
    }

    async fn put_routes(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError> {
        self.write("writing routes", |tables| {
            tables.guard("writing routes", lease, epoch)?;
            for route in routes {
                let newer = tables
                    .routes
                    .get(&route.key)
                    .is_some_and(|old| old.epoch > route.epoch);
                if !newer {
                    tables.routes.insert(route.key.clone(), route.clone());
                }
            }
            Ok(())
        })
        .await
    }

    async fn routes(&self) -> Result<Vec<Route>, StoreError> {
        self.enter_somewhere("reading routes", READ_PATIENCE)
            .await?;
        Ok(self.lock().routes.values().cloned().collect())
    }

    async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        self.enter("writing the audit log").await?;
        self.lock().audits.push(record.clone());
        Ok(())
    }

    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.enter("reading the audit log").await?;
        let (skip, limit) = (
            usize::try_from(skip).unwrap_or(0),
            usize::try_from(limit).unwrap_or(0),
        );
        Ok(self
            .lock()
            .audits
            .iter()
            .rev()
            .skip(skip)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn ping(&self, _node: &NodeName) -> Result<(), StoreError> {
        self.enter("checking the store").await
    }
}
