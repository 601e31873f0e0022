//! The loop of one cluster: the sole owner of its decisions. It runs on a period and on a wake-up;
//! a wake-up carries no data.

mod acknowledge;
mod evidence;
mod explain;
mod gave_up;
mod held;
mod judge;
mod obstacles;
mod peer_views;
mod requests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::analysis::{Finding, PrimaryView, Report, analyze};
use baton_core::ids::{LeaseEpoch, ServerId};
use baton_core::model::{Reach, RecoveryKind, Snapshot, Topology};
use baton_core::planning::{Repair, raise_highest};
use baton_core::policy;
use baton_core::time::Timestamp;
use futures::future::join_all;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::members::Members;
use super::policy::PolicyClient;
use super::records::{Records, routes};
use super::recover::{Driver, NotBegun, Order, Repairs};
use crate::api::ClusterView;
use crate::clusters::quorum::ClusterQuorum;
use crate::leadership::PeerTable;
use crate::locking::lock;
pub(crate) use explain::explain;
pub(crate) use held::HeldFindings;
pub(crate) use judge::Judged;
pub(crate) use requests::Request;

/// Cadence at which a cluster is looked at while evidence is coming in.
const FAST: Duration = Duration::from_millis(50);
/// Cadence without news.
const SLOW: Duration = Duration::from_secs(1);

/// What a loop publishes and shares.
#[derive(Default)]
pub(crate) struct Published {
    view: Mutex<Option<Arc<ClusterView>>>,
    judged: Mutex<Judged>,
}

impl Published {
    pub(crate) fn view(&self) -> Option<Arc<ClusterView>> {
        lock(&self.view).clone()
    }

    fn withdraw(&self) {
        *lock(&self.view) = None;
    }

    pub(crate) fn judged(&self) -> Judged {
        lock(&self.judged).clone()
    }
}

/// What connects a loop with the outside.
pub(crate) struct LoopLinks {
    pub(crate) published: Arc<Published>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) requests: mpsc::Receiver<Request>,
}

/// One cluster's loop.
pub(crate) struct ClusterLoop {
    members: Arc<Members>,
    quorum: Arc<ClusterQuorum>,
    records: Arc<Records>,
    policy: Arc<PolicyClient>,
    driver: Arc<Driver>,
    repairs: Arc<Repairs>,
    peers: Arc<PeerTable>,
    published: Arc<Published>,
    wake: Arc<Notify>,
    requests: mpsc::Receiver<Request>,
    held: HeldFindings,
    /// Readings asked for, not ended yet.
    readings: JoinSet<ServerId>,
    reading: BTreeSet<ServerId>,
    /// Standing sessions, one task per server.
    standing: JoinSet<()>,
    stands: BTreeSet<ServerId>,
    evidence: evidence::Throttle,
    waiting: acknowledge::Waiting,
    restarts: gave_up::Restarts,
    judge: judge::Memory,
    /// How the other nodes see the missing primary, and the question that is being asked.
    peer_views: Option<peer_views::PeerViews>,
    asking: JoinSet<peer_views::PeerViews>,
    resumed: bool,
    /// The epoch under which this node last led and read everything.
    led_under: Option<LeaseEpoch>,
}

impl ClusterLoop {
    pub(crate) fn new(
        (members, quorum): (Arc<Members>, Arc<ClusterQuorum>),
        (records, policy): (Arc<Records>, Arc<PolicyClient>),
        (driver, repairs): (Arc<Driver>, Arc<Repairs>),
        peers: Arc<PeerTable>,
        links: LoopLinks,
    ) -> Self {
        Self {
            members,
            quorum,
            records,
            policy,
            driver,
            repairs,
            peers,
            published: links.published,
            wake: links.wake,
            requests: links.requests,
            held: HeldFindings::default(),
            readings: JoinSet::new(),
            reading: BTreeSet::new(),
            standing: JoinSet::new(),
            stands: BTreeSet::new(),
            evidence: evidence::Throttle::default(),
            waiting: acknowledge::Waiting::default(),
            restarts: gave_up::Restarts::default(),
            judge: judge::Memory::default(),
            peer_views: None,
            asking: JoinSet::new(),
            resumed: false,
            led_under: None,
        }
    }

    /// Runs until the cluster is gone.
    pub(crate) async fn run(mut self) {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                Some(read) = self.readings.join_next(), if !self.readings.is_empty() => {
                    if let Ok(server) = read {
                        self.reading.remove(&server);
                    }
                }
                Some(peer_views) = self.asking.join_next(), if !self.asking.is_empty() => {
                    self.peer_views = peer_views.ok().or(self.peer_views.take());
                }
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request).await,
                    None => return,
                },
                () = sleep_until(next) => {}
            }
            let Some(pause) = self.look().await else {
                // The cluster has become part of another one: withdraw its view and free its locks.
                self.published.withdraw();
                self.members.sessions.close();
                return;
            };
            next = Instant::now() + pause;
        }
    }

    /// One round: snapshot, analysis, evidence, decision. Gives the pause until the next one;
    /// `None` if the cluster is gone.
    async fn look(&mut self) -> Option<Duration> {
        let mut snapshot = self.members.snapshot()?;
        if snapshot.servers.is_empty() {
            self.published.withdraw();
            return Some(SLOW);
        }
        let lease = snapshot.control.lease;
        if lease.is_some() && lease != self.led_under {
            self.observe_again(&snapshot).await;
            self.led_under = lease;
            self.resumed = false;
            snapshot = self.members.snapshot()?;
        }
        self.remember_highest(&mut snapshot);
        let report = analyze(&snapshot, &self.members.registry.settings.analysis);
        self.records.counters.analyses.add();
        self.held.update(&report, snapshot.taken_at);
        self.adopt_primary(&snapshot, &report).await;
        self.publish(&snapshot, &report);
        self.keep_standing(&snapshot);
        self.ask_peers(&snapshot);
        let more = self.gather(&snapshot, &report);
        self.have_acknowledged(&snapshot);
        self.start_who_gave_up(&snapshot);
        self.resumed &= !self.take_unfinished();
        if !self.resumed && self.resume(&snapshot).await {
            return Some(FAST);
        }
        if let Some(order) = self.decide(&snapshot, &report).await {
            self.carry_out(order).await;
            return Some(Duration::ZERO);
        }
        let waiting = report.findings.iter().any(|finding| {
            finding.recovery.is_some() && finding.suggestion != policy::Suggestion::Hold
        });
        Some(if waiting {
            let pause = FAST.min(self.judge.pause(snapshot.taken_at));
            more.map_or(pause, |more| pause.min(more))
        } else {
            SLOW
        })
    }

    /// Every node remembers the history that it has seen, because every node may lead next.
    fn remember_highest(&self, snapshot: &mut Snapshot) {
        let (registry, cluster) = (&self.members.registry, &self.members.cluster);
        let inventory = registry.latest();
        let Some(entry) = inventory.clusters.get(cluster) else {
            return;
        };
        let highest = raise_highest(snapshot, entry.highest.as_ref());
        snapshot.highest = highest.as_ref().map(|highest| highest.set.clone());
        drop(inventory);
        registry.set_highest(cluster, highest);
    }

    /// Reads all servers that answer once more. A new leader does so after it has taken the locks:
    /// from then on no change of the last leader is still on its way.
    pub(super) async fn observe_again(&self, snapshot: &Snapshot) {
        let limit = self.members.registry.settings.read_limit;
        let members = snapshot.servers.values();
        let answering = members.filter(|server| server.answers());
        let readings = answering.map(|server| async move {
            if snapshot.control.automatic
                && let Ok(lent) = self.members.sessions.lend(&server.id, limit).await
            {
                lent.keep();
            }
            // A server that does not answer is noted as silent.
            self.members.observe(&server.id, limit).await
        });
        join_all(readings).await;
    }

    /// Carries out a repair in the background, unless a reading or repair of that server is in
    /// progress.
    fn repair(&mut self, epoch: LeaseEpoch, repair: Repair, limit: Duration) {
        let server = repair.server().clone();
        if !self.reading.insert(server.clone()) {
            return;
        }
        tracing::info!(cluster = %self.members.cluster, %server, "{}", repair.describe());
        let repairs = Arc::clone(&self.repairs);
        self.readings.spawn(async move {
            if let Err(error) = repairs.repair(&repair, epoch, limit).await {
                tracing::warn!(%server, %error, "not repaired");
            }
            server
        });
    }

    /// Records a primary that is not recorded yet, or that something other than Baton promoted.
    async fn adopt_primary(&mut self, snapshot: &Snapshot, report: &Report) {
        let found = match &report.primary {
            PrimaryView::Derived(id) => id,
            PrimaryView::Moved { from: _, to } => to,
            PrimaryView::Recorded(_) | PrimaryView::Unknown(_) => return,
        };
        if snapshot.cluster.primary.as_ref() == Some(found) {
            return;
        }
        let Some(epoch) = self.quorum.lease.epoch_for(Duration::ZERO) else {
            return;
        };
        tracing::info!(cluster = %snapshot.cluster.name, server = %found, "primary recorded");
        self.records.write_inventory().await;
        let registry = &self.members.registry;
        registry.set_primary(&self.members.cluster, found, epoch);
        if let Err(error) = self.records.set_primary(epoch, found).await {
            tracing::warn!(error = error.with_causes(), "primary not recorded");
        }
        if let Some(server) = snapshot.servers.get(found) {
            let prefix = &registry.settings.route_prefix;
            let routes = routes(prefix, &snapshot.cluster.name, &server.address, epoch);
            if let Err(error) = self.records.put_routes(epoch, &routes).await {
                tracing::warn!(error = error.with_causes(), "routes not written");
            }
        }
    }

    fn publish(&self, snapshot: &Snapshot, report: &Report) {
        let codes = report
            .findings
            .iter()
            .map(|finding| finding.code.word().to_owned())
            .collect();
        self.members
            .registry
            .set_findings(&self.members.cluster, codes);
        let view = ClusterView {
            snapshot: snapshot.clone(),
            topology: Topology::of(snapshot),
            report: report.clone(),
        };
        *lock(&self.published.view) = Some(Arc::new(view));
        self.members.registry.published();
    }

    /// Keeps a standing session on every answering member while this node may recover the cluster.
    fn keep_standing(&mut self, snapshot: &Snapshot) {
        let leads = snapshot.control.lease.is_some() && snapshot.control.automatic;
        let gone = self
            .stands
            .iter()
            .any(|id| !snapshot.servers.contains_key(id));
        if !leads || gone {
            if !self.stands.is_empty() {
                self.standing.abort_all();
                self.stands.clear();
                self.members.sessions.close();
            }
            if !leads {
                return;
            }
        }
        for server in snapshot.servers.values() {
            if server.answers() && self.stands.insert(server.id.clone()) {
                let sessions = Arc::clone(&self.members.sessions);
                let id = server.id.clone();
                self.standing.spawn(async move { sessions.stand(id).await });
            }
            if server.probe.is_refused() {
                self.members.sessions.end(&server.id);
            }
        }
    }

    async fn carry_out(&mut self, order: Order) {
        // If the end of the recovery is not recorded, the next round finds the open row.
        self.resumed = false;
        let begun = self.members.clock.now();
        let driver = Arc::clone(&self.driver);
        match self.publish_during(driver.carry_out(order)).await {
            Ok(row) => {
                let has_lease = self.quorum.lease.epoch_for(Duration::ZERO) == Some(row.epoch);
                let no_right = !has_lease || self.quorum.was_missing_since(begun);
                let no_fault = no_right || self.quorum.lease.stalled_since(begun);
                self.judge
                    .note_ended(&row, no_fault, self.members.clock.now());
            }
            Err(error) => {
                tracing::warn!(cluster = %self.members.cluster, %error, "recovery not begun, or left open");
                // Without the lease this node decides nothing; when it has the lease again, it does
                // so at once.
                if error != NotBegun::NoLease {
                    self.judge.not_begun(self.members.clock.now());
                }
            }
        }
    }

    /// Waits for a recovery, and analyses and publishes the cluster meanwhile. Nothing else is
    /// decided.
    async fn publish_during<T>(&self, recovery: impl Future<Output = T>) -> T {
        let mut recovery = std::pin::pin!(recovery);
        loop {
            // Not at each reading: no recovery waits for an analysis.
            if let Ok(done) = timeout(SLOW, &mut recovery).await {
                return done;
            }
            // Findings during a recovery are not remembered.
            if let Some(snapshot) = self.members.snapshot() {
                let report = analyze(&snapshot, &self.members.registry.settings.analysis);
                self.publish(&snapshot, &report);
            }
        }
    }

    /// Whether an open recovery has turned up since this was asked last.
    fn take_unfinished(&self) -> bool {
        self.members.registry.take_unfinished(&self.members.cluster)
    }

    /// Ends what an earlier process left open. True if something was resumed.
    async fn resume(&mut self, snapshot: &Snapshot) -> bool {
        if snapshot.control.lease.is_none()
            || snapshot
                .servers
                .values()
                .any(|server| server.probe.reach() == Reach::NotProbed)
        {
            return false;
        }
        let rows = match self.records.open().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(error = error.with_causes(), "open recoveries not readable");
                return false;
            }
        };
        self.resumed = true;
        let mut any = false;
        for row in rows {
            // Each attempt is journaled: none is made while nothing could be finished or undone.
            if row.kind == RecoveryKind::Switchover
                && (self.judge.is_pausing(snapshot.taken_at) || !self.seems_to_have_right(snapshot))
            {
                self.resumed = false;
                continue;
            }
            any = true;
            let driver = Arc::clone(&self.driver);
            if let Err(error) = self.publish_during(driver.resume(row)).await {
                tracing::warn!(%error, "recovery not resumed");
                self.resumed = false;
                if matches!(error, NotBegun::LeftOpen { .. }) {
                    self.judge.not_begun(self.members.clock.now());
                }
            }
        }
        any
    }
}

/// Which findings come first: those about the primary, then the rest.
pub(crate) fn urgency(finding: &Finding) -> u8 {
    match finding.recovery {
        Some(RecoveryKind::Failover | RecoveryKind::CoPrimaryFailover) => 0,
        Some(RecoveryKind::Rejoin | RecoveryKind::Reopen) => 1,
        Some(RecoveryKind::IntermediateFailover) => 2,
        Some(RecoveryKind::Switchover) | None => 3,
    }
}

/// When the loss of a server was noticed.
pub(crate) fn lost_at(snapshot: &Snapshot, server: &ServerId) -> Timestamp {
    let lost = snapshot
        .servers
        .get(server)
        .and_then(|server| server.probe.failing_since);
    lost.unwrap_or(snapshot.taken_at)
}
