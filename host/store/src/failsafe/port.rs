//! The port.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{Downtime, PromotionRule};
use baton_core::right::Voters;
use baton_core::time::WallTime;
use baton_ports::{
    AuditRecord, Claim, ClusterRow, JournalEntry, LeaseState, NodeRow, RecoveryRow, Route,
    ServerRow, StepRow, Store, StoreError,
};

use super::disk::Subject;
use super::overlay::{self, Page};
use super::{FailsafeStore, is_refusal};

/// Last answers that count however old they are: what they say changes rarely, and is checked against the servers themselves.
const ANY_AGE: Duration = Duration::MAX;
/// Recoveries that the last answer must hold to stand for the list.
pub(super) const NEWEST: u32 = 200;

#[async_trait]
impl Store for FailsafeStore {
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.shared.lease(name).await
    }

    async fn highest_epoch(&self, name: &str) -> Result<LeaseEpoch, StoreError> {
        const OPERATION: &str = "reading the highest epoch of a lease";
        let known = self.rights().highest(name);
        if self.health.is_away() {
            return Ok(known);
        }
        let shared = self.shared.highest_epoch(name);
        let read = self.within(OPERATION, self.options.read, shared).await;
        Ok(read.map_or(known, |shared| shared.max(known)))
    }

    async fn claim_lease(
        &self,
        name: &str,
        node: &NodeName,
        ttl: Duration,
        expected: Option<(LeaseEpoch, u64)>,
        highest: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        let highest = highest.max(self.rights().highest(name));
        let bid = self.shared.claim_lease(name, node, ttl, expected, highest);
        let claim = self.bid("claiming a lease", bid).await?;
        self.note_claim(name, &claim).await;
        Ok(claim)
    }

    async fn renew_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        let bid = self.shared.renew_lease(name, node, epoch);
        let claim = self.bid("renewing a lease", bid).await?;
        self.note_claim(name, &claim).await;
        Ok(claim)
    }

    async fn release_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        self.rights().released(name, node, epoch);
        self.shared.release_lease(name, node, epoch).await
    }

    async fn servers(&self) -> Result<Vec<ServerRow>, StoreError> {
        let copy = (&self.copies.servers, ANY_AGE);
        self.read("reading the servers", copy, self.shared.servers())
            .await
    }

    async fn put_servers(&self, rows: &[ServerRow]) -> Result<(), StoreError> {
        self.pass("recording servers", self.shared.put_servers(rows))
            .await
    }

    async fn forget_server(&self, id: &ServerId) -> Result<bool, StoreError> {
        let forgotten = self
            .pass("forgetting a server", self.shared.forget_server(id))
            .await?;
        self.copies.forget_server(id);
        Ok(forgotten)
    }

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

    async fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) -> Result<(), StoreError> {
        self.pass(
            "setting a quarantine",
            self.shared.set_quarantine(id, errant),
        )
        .await?;
        self.copies.set_quarantine(id, errant);
        Ok(())
    }

    async fn clusters(&self) -> Result<Vec<ClusterRow>, StoreError> {
        let copy = (&self.copies.clusters, ANY_AGE);
        let rows = self
            .read("reading the clusters", copy, self.shared.clusters())
            .await?;
        Ok(overlay::clusters(rows, &self.disk.mirror()))
    }

    async fn put_cluster(&self, id: &ClusterId, name: &str) -> Result<(), StoreError> {
        self.pass("recording a cluster", self.shared.put_cluster(id, name))
            .await
    }

    async fn forget_cluster(&self, id: &ClusterId) -> Result<(), StoreError> {
        self.pass("forgetting a cluster", self.shared.forget_cluster(id))
            .await
    }

    async fn set_primary(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        self.write(
            "recording the intended primary",
            (lease, epoch),
            Subject::Intents,
            self.disk.set_primary((lease, epoch), cluster, primary),
            self.shared.set_primary(lease, epoch, cluster, primary),
        )
        .await
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

    /// The last answer counts for a limited time. There is none at first: a process that never read the switch does not know it.
    async fn recoveries_enabled(&self) -> Result<bool, StoreError> {
        const OPERATION: &str = "reading whether recoveries are enabled";
        let copy = (&self.copies.switch, self.options.switch_age_max);
        self.read(OPERATION, copy, self.shared.recoveries_enabled())
            .await
    }

    /// An operator who turns recoveries off while the shared store is away turns them off on this node at least, and is told that it
    /// is not recorded.
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

    async fn beat(&self, node: &NodeRow) -> Result<(), StoreError> {
        self.shared.beat(node).await
    }

    /// Never an earlier answer: who is registered decides when a change of members has ended.
    async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        self.pass("reading the nodes", self.shared.nodes()).await
    }

    async fn forget_node(&self, name: &NodeName) -> Result<bool, StoreError> {
        self.pass("forgetting a node", self.shared.forget_node(name))
            .await
    }

    /// Never an earlier answer: whose locks are votes is kept in memory by who asks, and told apart from what is recorded.
    async fn voters(&self) -> Result<Vec<(ClusterId, Voters)>, StoreError> {
        self.pass("reading the recorded members", self.shared.voters())
            .await
    }

    async fn set_voters(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: &Voters,
    ) -> Result<(), StoreError> {
        self.pass(
            "recording members",
            self.shared.set_voters(lease, epoch, cluster, voters),
        )
        .await
    }

    /// Never an earlier answer: this node has a memory of its own.
    async fn histories(&self) -> Result<Vec<(ClusterId, GtidSet)>, StoreError> {
        self.pass("reading histories", self.shared.histories())
            .await
    }

    async fn put_history(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        seen: &GtidSet,
    ) -> Result<(), StoreError> {
        let recording = self.shared.put_history(lease, epoch, cluster, seen);
        self.pass("recording a history", recording).await
    }

    async fn begin_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<i64, StoreError> {
        let begun_here = AtomicBool::new(false);
        let local = async {
            let number = self.disk.begin(lease, row).await?;
            begun_here.store(true, Ordering::Relaxed);
            Ok(number)
        };
        let begun = self
            .write(
                "beginning a recovery",
                (lease, row.epoch),
                Subject::Recovery(row.id.clone()),
                local,
                self.shared.begin_recovery(lease, row),
            )
            .await;
        match (&begun, begun_here.load(Ordering::Relaxed)) {
            (Err(_), true) => self.take_back(&row.id).await,
            // The shared store knows of no other: what stands here against it has ended without this disk being told.
            (Ok(_), false) => self.begin_here(lease, row).await,
            (Ok(_), true) | (Err(_), false) => {}
        }
        if let Ok(number) = &begun
            && !self.disk.mirror().unsent.contains_key(&row.id)
        {
            self.copies.begin(row, *number);
        }
        begun
    }

    async fn update_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<(), StoreError> {
        self.write(
            "updating a recovery",
            (lease, row.epoch),
            Subject::Recovery(row.id.clone()),
            self.disk.update(lease, row),
            self.shared.update_recovery(lease, row),
        )
        .await?;
        self.copies.update(row);
        Ok(())
    }

    async fn adopt_recovery(
        &self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        let known = self.known_recovery(id).await;
        self.write(
            "adopting a recovery",
            (lease, epoch),
            Subject::Recovery(id.clone()),
            self.disk.adopt((lease, epoch), id, node, known),
            self.shared.adopt_recovery(lease, id, node, epoch),
        )
        .await
    }

    async fn journal(
        &self,
        lease: &str,
        recovery: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        self.write(
            "journaling steps",
            (lease, epoch),
            Subject::Recovery(recovery.clone()),
            self.disk.journal((lease, epoch), recovery, entries),
            self.shared.journal(lease, recovery, epoch, entries),
        )
        .await
    }

    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRow],
        steps: &[StepRow],
    ) -> Result<(), StoreError> {
        self.pass(
            "taking over recoveries",
            self.shared.merge_recoveries(lease, epoch, rows, steps),
        )
        .await
    }

    async fn merge_intents(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        clusters: &[ClusterRow],
        routes: &[Route],
    ) -> Result<(), StoreError> {
        self.pass(
            "taking over primaries and routes",
            self.shared.merge_intents(lease, epoch, clusters, routes),
        )
        .await
    }

    async fn running_recoveries(&self) -> Result<Vec<RecoveryRow>, StoreError> {
        const OPERATION: &str = "reading running recoveries";
        let kept = self.copies.recoveries.within(ANY_AGE);
        let shared = match kept {
            Some(kept) if self.health.is_away() => kept,
            Some(kept) => {
                let limit = self.options.write.saturating_mul(2);
                let read = self.within(OPERATION, limit, self.shared.running_recoveries());
                read.await.unwrap_or(kept)
            }
            None => self.shared.running_recoveries().await?,
        };
        Ok(overlay::running(shared, &self.disk.mirror()))
    }

    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRow>, StoreError> {
        const OPERATION: &str = "reading recoveries";
        let page = Page {
            cluster,
            skip,
            limit,
        };
        let newest = &self.copies.recoveries;
        let shared = self.shared.recoveries(cluster, skip, limit);
        if cluster.is_none() && skip == 0 && limit >= NEWEST {
            let rows = self.read(OPERATION, (newest, ANY_AGE), shared).await?;
            return Ok(overlay::recoveries(rows, &self.disk.mirror(), page));
        }
        let kept = newest.within(ANY_AGE);
        if kept.is_none() || !self.health.is_away() {
            match (
                self.within(OPERATION, self.options.read, shared).await,
                &kept,
            ) {
                (Ok(rows), _) => return Ok(overlay::recoveries(rows, &self.disk.mirror(), page)),
                (Err(error), None) => return Err(error),
                (Err(_), Some(_)) => {}
            }
        }
        let kept = kept.unwrap_or_default();
        Ok(page.of(overlay::recoveries(kept, &self.disk.mirror(), Page::ALL)))
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRow>, StoreError> {
        let local = self.unsent_recovery(id);
        if self.health.is_away()
            && let Some(row) = self.known_recovery(id).await
        {
            return Ok(Some(row));
        }
        let limit = if local.is_some() {
            self.options.read
        } else {
            Duration::MAX
        };
        let read = self.within("reading a recovery", limit, self.shared.recovery(id));
        match (read.await, local) {
            (Ok(Some(shared)), _) => Ok(Some(overlay::recovery(shared, &self.disk.mirror()))),
            (Ok(None) | Err(_), Some(local)) => Ok(Some(local)),
            (Ok(None), None) => Ok(None),
            (Err(error), None) => Err(error),
        }
    }

    /// While the shared store is away, those lines that this node wrote; lines that another node wrote before are missing then.
    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRow>, StoreError> {
        let local = self
            .on_disk("reading a journal", self.disk.steps(id))
            .await?;
        if self.health.is_away() {
            return Ok(local);
        }
        let limit = if local.is_empty() {
            Duration::MAX
        } else {
            self.options.read
        };
        match self
            .within("reading a journal", limit, self.shared.steps(id))
            .await
        {
            Ok(shared) if self.disk.mirror().unsent.contains_key(id) => {
                Ok(overlay::steps(shared, local))
            }
            Ok(shared) => Ok(shared),
            Err(_) if !local.is_empty() => Ok(local),
            Err(error) => Err(error),
        }
    }

    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        at: WallTime,
        comment: &str,
    ) -> Result<u64, StoreError> {
        let count = self
            .pass(
                "acknowledging recoveries",
                self.shared.acknowledge(id, cluster, by, at, comment),
            )
            .await?;
        let said = (by.to_owned(), at, comment.to_owned());
        self.copies.acknowledge((id, cluster), &said);
        Ok(count)
    }

    async fn put_routes(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError> {
        self.write(
            "writing routes",
            (lease, epoch),
            Subject::Intents,
            self.disk.put_routes((lease, epoch), routes),
            self.shared.put_routes(lease, epoch, routes),
        )
        .await
    }

    async fn routes(&self) -> Result<Vec<Route>, StoreError> {
        let copy = (&self.copies.routes, ANY_AGE);
        let routes = self
            .read("reading routes", copy, self.shared.routes())
            .await?;
        Ok(overlay::routes(routes, &self.disk.mirror()))
    }

    /// To the shared store, or to the local disk until that is back. A line whose outcome is not known may be there twice.
    async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        const OPERATION: &str = "writing the audit log";
        if !self.health.is_away() {
            let shared = self.within(OPERATION, self.options.write, self.shared.audit(record));
            match shared.await {
                Ok(()) => return Ok(()),
                Err(error) if is_refusal(&error) => return Err(error),
                Err(_) => {}
            }
        }
        self.on_disk(OPERATION, self.disk.audit(record)).await
    }

    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.shared.audits(skip, limit).await
    }

    async fn ping(&self, node: &NodeName) -> Result<(), StoreError> {
        self.shared.ping(node).await
    }
}

impl FailsafeStore {
    /// A recovery that is not handed over yet.
    fn unsent_recovery(&self, id: &RecoveryId) -> Option<RecoveryRow> {
        let mirror = self.disk.mirror();
        let row = mirror.recoveries.get(id);
        row.filter(|row| mirror.unsent.contains_key(&row.id))
            .cloned()
    }

    /// A recovery as far as it is known without waiting long.
    async fn known_recovery(&self, id: &RecoveryId) -> Option<RecoveryRow> {
        let local = self.disk.mirror().recoveries.get(id).cloned();
        if local.is_some() {
            return local;
        }
        if !self.health.is_away() {
            let limit = self.options.write;
            let read = self.within("reading a recovery", limit, self.shared.recovery(id));
            if let Ok(row) = read.await {
                return row;
            }
        }
        let kept = self.copies.recoveries.within(ANY_AGE)?;
        kept.into_iter().find(|row| row.id == *id)
    }
}
