//! The port, implemented for any engine: each call is one transaction, or one query.

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

use crate::failure::{Failure, Refusal};
use crate::operations::recovery::Acknowledgement;
use crate::operations::{
    audit, handover, health, history, journal, lease, node, recovery, recovery_row, route,
    topology, wishes,
};
use crate::session::{Attempts, Backend, Transaction};
use crate::value::{Row, Value, values};

/// How much of the audit log is kept; what exceeds either limit goes, oldest first, whenever a line is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLimits {
    /// Most lines. Default 100,000, about 20 MB. Too small loses evidence, too large costs disk.
    pub rows_max: u64,
    /// Greatest age, against the newest line. Default 365 days; [`Duration::MAX`] for no limit.
    pub age_max: Duration,
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self {
            rows_max: 100_000,
            age_max: Duration::from_hours(365 * 24),
        }
    }
}

/// The state store on the engine `B`.
#[derive(Debug)]
pub struct SqlStore<B> {
    pub(crate) backend: B,
    pub(crate) audit: AuditLimits,
}

/// The state store in a SQLite file or in memory.
pub type SqliteStore = SqlStore<crate::sqlite::Sqlite>;

/// The state store on the database node that is selected, whichever that is.
pub type MySqlStore = SqlStore<crate::mysql::MySql>;

impl<B: Backend> SqlStore<B> {
    /// All rows of a query.
    async fn all<T>(
        &self,
        operation: &'static str,
        sql: &'static str,
        values: Vec<Value>,
        read: fn(Row) -> Result<T, Failure>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.rows(operation, sql, values).await?;
        let read: Result<Vec<T>, Failure> = rows.into_iter().map(read).collect();
        read.map_err(|failure| failure.during(operation))
    }

    async fn rows(
        &self,
        operation: &'static str,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut attempts = self.backend.attempts();
        loop {
            match self.backend.fetch(sql, values.clone()).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => self.again(&mut attempts, operation, failure).await?,
            }
        }
    }

    /// Returns when the operation is to be attempted once more.
    pub(crate) async fn again(
        &self,
        attempts: &mut Attempts,
        operation: &'static str,
        failure: Failure,
    ) -> Result<(), StoreError> {
        let repeat = self.backend.again(attempts, failure).await;
        repeat.map_err(|failure| failure.during(operation))
    }

    /// The only row of a query, if there is one.
    async fn one<T>(
        &self,
        operation: &'static str,
        sql: &'static str,
        values: Vec<Value>,
        read: fn(Row) -> Result<T, Failure>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(operation, sql, values, read).await?.pop())
    }
}

/// Commits what succeeded, rolls back what did not.
pub(crate) async fn finish<T>(
    transaction: Box<dyn Transaction>,
    result: Result<T, Refusal>,
) -> Result<T, Refusal> {
    match result {
        Ok(value) => {
            transaction.commit().await?;
            Ok(value)
        }
        Err(refusal) => {
            transaction.rollback().await;
            Err(refusal)
        }
    }
}

/// One transaction around one operation, as often as the engine says; gives what the port's call gives. An operation that would do
/// something else when it is done twice is told whether an earlier attempt of its may have been done.
macro_rules! write {
    ($store:expr, $operation:literal, |$session:ident| $work:expr) => {
        write!($store, $operation, |$session, _in_doubt| $work)
    };
    ($store:expr, $operation:literal, |$session:ident, $in_doubt:ident| $work:expr) => {{
        let mut attempts = $store.backend.attempts();
        loop {
            let $in_doubt = attempts.in_doubt;
            let result = match $store.backend.begin().await {
                Ok(mut transaction) => {
                    let $session = &mut *transaction;
                    let result = $work.await;
                    finish(transaction, result).await
                }
                Err(failure) => Err(failure.into()),
            };
            match result {
                Ok(value) => break Ok(value),
                Err(Refusal::Failed(failure)) => {
                    $store.again(&mut attempts, $operation, failure).await?;
                }
                Err(refusal) => break Err(refusal.during($operation)),
            }
        }
    }};
}

pub(crate) use write;

#[async_trait]
impl<B: Backend> Store for SqlStore<B> {
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.one("reading a lease", lease::FIND, values![name], lease::read)
            .await
    }

    async fn claim_lease(
        &self,
        name: &str,
        node: &NodeName,
        ttl: Duration,
        expected: Option<(LeaseEpoch, u64)>,
        highest: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        let bid = lease::Bid {
            name,
            node,
            ttl,
            expected,
            highest,
        };
        write!(self, "claiming a lease", |session| lease::claim(
            session, &bid
        ))
    }

    async fn renew_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        write!(self, "renewing a lease", |session| lease::renew(
            session, name, node, epoch
        ))
    }

    async fn release_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        write!(self, "releasing a lease", |session| lease::release(
            session, name, node, epoch
        ))
    }

    async fn servers(&self) -> Result<Vec<ServerRow>, StoreError> {
        self.all(
            "reading the servers",
            topology::SERVERS,
            Vec::new(),
            topology::read_server,
        )
        .await
    }

    async fn put_servers(&self, rows: &[ServerRow]) -> Result<(), StoreError> {
        write!(self, "recording servers", |session| topology::put_servers(
            session, rows
        ))
    }

    async fn forget_server(&self, id: &ServerId) -> Result<bool, StoreError> {
        write!(self, "forgetting a server", |session| {
            topology::forget_server(session, id)
        })
    }

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

    async fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) -> Result<(), StoreError> {
        write!(self, "setting a quarantine", |session| {
            topology::set_quarantine(session, id, errant)
        })
    }

    async fn clusters(&self) -> Result<Vec<ClusterRow>, StoreError> {
        self.all(
            "reading the clusters",
            topology::CLUSTERS,
            Vec::new(),
            topology::read_cluster,
        )
        .await
    }

    async fn put_cluster(&self, id: &ClusterId, name: &str) -> Result<(), StoreError> {
        write!(
            self,
            "recording a cluster",
            |session| topology::put_cluster(session, id, name)
        )
    }

    async fn forget_cluster(&self, id: &ClusterId) -> Result<(), StoreError> {
        write!(self, "forgetting a cluster", |session| {
            topology::forget_cluster(session, id)
        })
    }

    async fn set_primary(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        write!(self, "recording the intended primary", |session| {
            topology::set_primary(session, lease, epoch, cluster, primary)
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

    async fn beat(&self, node: &NodeRow) -> Result<(), StoreError> {
        write!(self, "registering a node", |session| node::beat(
            session, node
        ))
    }

    async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        self.all("reading the nodes", node::NODES, Vec::new(), node::read)
            .await
    }

    async fn forget_node(&self, name: &NodeName) -> Result<bool, StoreError> {
        write!(self, "forgetting a node", |session| node::forget(
            session, name
        ))
    }

    async fn voters(&self) -> Result<Vec<(ClusterId, Voters)>, StoreError> {
        self.all(
            "reading the recorded members",
            node::VOTERS,
            Vec::new(),
            node::read_voters,
        )
        .await
    }

    async fn set_voters(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: &Voters,
    ) -> Result<(), StoreError> {
        write!(self, "recording members", |session| node::set_voters(
            session,
            (lease, epoch),
            cluster,
            voters
        ))
    }

    async fn histories(&self) -> Result<Vec<(ClusterId, GtidSet)>, StoreError> {
        self.all(
            "reading histories",
            history::HISTORIES,
            Vec::new(),
            history::read,
        )
        .await
    }

    async fn put_history(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        seen: &GtidSet,
    ) -> Result<(), StoreError> {
        write!(self, "recording a history", |session| history::put(
            session,
            (lease, epoch),
            cluster,
            seen
        ))
    }

    async fn begin_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<i64, StoreError> {
        write!(self, "beginning a recovery", |session, in_doubt| {
            recovery::begin(session, lease, row, in_doubt)
        })
    }

    async fn update_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<(), StoreError> {
        write!(self, "updating a recovery", |session| recovery::update(
            session, lease, row
        ))
    }

    async fn adopt_recovery(
        &self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        write!(self, "adopting a recovery", |session| recovery::adopt(
            session, lease, id, node, epoch
        ))
    }

    async fn journal(
        &self,
        lease: &str,
        recovery: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        write!(self, "journaling steps", |session, in_doubt| {
            journal::append(session, (lease, epoch), recovery, entries, in_doubt)
        })
    }

    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRow],
        steps: &[StepRow],
    ) -> Result<(), StoreError> {
        write!(self, "taking over recoveries", |session| handover::merge(
            session,
            (lease, epoch),
            rows,
            steps
        ))
    }

    async fn merge_intents(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        clusters: &[ClusterRow],
        routes: &[Route],
    ) -> Result<(), StoreError> {
        write!(self, "taking over primaries and routes", |session| {
            handover::merge_intents(session, (lease, epoch), clusters, routes)
        })
    }

    async fn running_recoveries(&self) -> Result<Vec<RecoveryRow>, StoreError> {
        self.all(
            "reading running recoveries",
            recovery::RUNNING,
            Vec::new(),
            recovery_row::read,
        )
        .await
    }

    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRow>, StoreError> {
        let (sql, values) = match cluster {
            Some(cluster) => (recovery::OF_CLUSTER, values![cluster, limit, skip]),
            None => (recovery::ALL, values![limit, skip]),
        };
        self.all("reading recoveries", sql, values, recovery_row::read)
            .await
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRow>, StoreError> {
        self.one(
            "reading a recovery",
            recovery::ONE,
            values![id],
            recovery_row::read,
        )
        .await
    }

    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRow>, StoreError> {
        self.all(
            "reading a journal",
            journal::STEPS,
            values![id],
            journal::read,
        )
        .await
    }

    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        at: WallTime,
        comment: &str,
    ) -> Result<u64, StoreError> {
        let acknowledgement = Acknowledgement {
            id,
            cluster,
            by,
            at,
            comment,
        };
        write!(self, "acknowledging recoveries", |session, in_doubt| {
            recovery::acknowledge(session, &acknowledgement, in_doubt)
        })
    }

    async fn put_routes(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError> {
        write!(self, "writing routes", |session| route::put(
            session, lease, epoch, routes
        ))
    }

    async fn routes(&self) -> Result<Vec<Route>, StoreError> {
        self.all("reading routes", route::ROUTES, Vec::new(), route::read)
            .await
    }

    async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let limits = self.audit;
        write!(self, "writing the audit log", |session, in_doubt| {
            audit::append(session, record, limits, in_doubt)
        })
    }

    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.all(
            "reading the audit log",
            audit::NEWEST,
            values![limit, skip],
            audit::read,
        )
        .await
    }

    async fn ping(&self, node: &NodeName) -> Result<(), StoreError> {
        write!(self, "checking the store", |session| health::beat(
            session, node
        ))
    }
}
