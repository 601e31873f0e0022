//! The loop of one cluster: the sole owner of its decisions. It runs on a period and on a wake-up; a wake-up carries no data.

mod acknowledge;
mod evidence;
mod explain;
mod gave_up;
mod held;
mod judge;
mod left_behind;
mod requests;
mod witnesses;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::analysis::{Finding, PrimaryView, Report, analyze};
use baton_core::ids::{LeaseEpoch, NodeName, ServerId};
use baton_core::model::{Reach, RecoveryKind, Snapshot, Topology};
use baton_core::planning::{Reason, Repair, raise_highest};
use baton_core::policy::{self, Context};
use baton_core::time::Timestamp;
use futures::future::join_all;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::ClusterView;
use crate::lease::LEASE;
use crate::recover::{Means, NotBegun, Order};
use crate::registry::Inner;
pub(crate) use explain::explain;
pub(crate) use held::HeldFindings;
pub(crate) use judge::Judged;
pub(crate) use left_behind::{astray, left_behind, why_astray};
pub(crate) use requests::{Request, RequestKind};

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
        self.view
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn withdraw(&self) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn judged(&self) -> Judged {
        self.judged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// One cluster's loop.
pub(crate) struct ClusterLoop {
    means: Arc<Means>,
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
    /// What the other nodes see of the missing primary, and the question under way.
    heard: Option<witnesses::Heard>,
    asking: JoinSet<witnesses::Heard>,
    resumed: bool,
    /// The epoch under which this node last led and read everything.
    led_under: Option<LeaseEpoch>,
}

impl ClusterLoop {
    pub(crate) fn new(
        means: Arc<Means>,
        published: Arc<Published>,
        wake: Arc<Notify>,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        Self {
            means,
            published,
            wake,
            requests,
            held: HeldFindings::default(),
            readings: JoinSet::new(),
            reading: BTreeSet::new(),
            standing: JoinSet::new(),
            stands: BTreeSet::new(),
            evidence: evidence::Throttle::default(),
            waiting: acknowledge::Waiting::default(),
            restarts: gave_up::Restarts::default(),
            judge: judge::Memory::default(),
            heard: None,
            asking: JoinSet::new(),
            resumed: false,
            led_under: None,
        }
    }

    /// Looks after the cluster until it is gone.
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
                Some(heard) = self.asking.join_next(), if !self.asking.is_empty() => {
                    self.heard = heard.ok().or(self.heard.take());
                }
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request).await,
                    None => return,
                },
                () = sleep_until(next) => {}
            }
            let Some(pause) = self.look().await else {
                // Nobody may find a cluster that has become part of another one, nor its locks.
                self.published.withdraw();
                self.means.sessions.close();
                return;
            };
            next = Instant::now() + pause;
        }
    }

    /// One round: snapshot, analysis, evidence, decision. Gives the pause until the next one; `None` if the cluster is gone.
    async fn look(&mut self) -> Option<Duration> {
        let mut snapshot = self.means.snapshot()?;
        if snapshot.servers.is_empty() {
            self.published.withdraw();
            return Some(SLOW);
        }
        let lease = snapshot.control.lease;
        if lease.is_some() && lease != self.led_under {
            self.observe_again(&snapshot).await;
            self.led_under = lease;
            self.resumed = false;
            snapshot = self.means.snapshot()?;
        }
        self.remember_highest(&mut snapshot);
        let report = analyze(&snapshot, &self.means.registry.settings.analysis);
        self.means.counters.analyses.add();
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

    /// Every node remembers what it has seen of the history: whoever leads next knows it, too.
    fn remember_highest(&self, snapshot: &mut Snapshot) {
        let cluster = &self.means.cluster;
        let entry = |inner: &Inner| Some(inner.clusters.get(cluster)?.highest.clone());
        let Some(known) = entry(&self.means.registry.lock()) else {
            return;
        };
        // Histories can be long: nobody waits for the registry meanwhile.
        let highest = raise_highest(snapshot, known.as_ref());
        snapshot.highest = highest.as_ref().map(|highest| highest.set.clone());
        if let Some(entry) = self.means.registry.lock().clusters.get_mut(cluster) {
            entry.highest = highest;
        }
    }

    /// Reads all servers that answer once more. A new leader does so after it has taken the locks: from then on
    /// no change of the last leader is still on its way.
    pub(super) async fn observe_again(&self, snapshot: &Snapshot) {
        let limit = self.means.registry.settings.read_limit;
        let members = snapshot.servers.values();
        let answering = members.filter(|server| server.probe.reach() == Reach::Answering);
        let readings = answering.map(|server| async move {
            if snapshot.control.automatic
                && let Ok(lent) = self.means.sessions.lend(&server.id, limit).await
            {
                lent.keep();
            }
            // Who does not answer is noted as such.
            crate::recover::observe(&self.means, &server.id, limit).await
        });
        join_all(readings).await;
    }

    /// Carries a repair out in the background, unless something else is under way on that server.
    fn repair(&mut self, epoch: LeaseEpoch, repair: Repair, limit: Duration) {
        let server = repair.server().clone();
        if !self.reading.insert(server.clone()) {
            return;
        }
        tracing::info!(cluster = %self.means.cluster, %server, "{}", repair.describe());
        let means = Arc::clone(&self.means);
        self.readings.spawn(async move {
            if let Err(error) = means.repair(&repair, epoch, limit).await {
                tracing::warn!(%server, %error, "not repaired");
            }
            server
        });
    }

    /// Records a primary that was not recorded, or that somebody else promoted.
    async fn adopt_primary(&mut self, snapshot: &Snapshot, report: &Report) {
        let found = match &report.primary {
            PrimaryView::Derived(id) => id,
            PrimaryView::Moved { from: _, to } => to,
            PrimaryView::Recorded(_) | PrimaryView::Unknown(_) => return,
        };
        if snapshot.cluster.primary.as_ref() == Some(found) {
            return;
        }
        let Some(epoch) = self.means.lease.epoch_for(Duration::ZERO) else {
            return;
        };
        let cluster = &self.means.cluster;
        tracing::info!(cluster = %snapshot.cluster.name, server = %found, "primary recorded");
        crate::operators::write_changes(
            &self.means.registry,
            &*self.means.store,
            &self.means.counters,
        )
        .await;
        self.means.registry.set_primary(cluster, found, epoch);
        if let Err(error) = self
            .means
            .store
            .set_primary(LEASE, epoch, cluster, found)
            .await
        {
            tracing::warn!(error = error.with_causes(), "primary not recorded");
        }
        if let Some(server) = snapshot.servers.get(found) {
            let prefix = &self.means.registry.settings.route_prefix;
            let routes =
                crate::recover::routes(prefix, &snapshot.cluster.name, &server.address, epoch);
            if let Err(error) = self.means.store.put_routes(LEASE, epoch, &routes).await {
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
        if let Some(entry) = self
            .means
            .registry
            .lock()
            .clusters
            .get_mut(&self.means.cluster)
        {
            entry.findings = codes;
        }
        let view = ClusterView {
            snapshot: snapshot.clone(),
            topology: Topology::of(snapshot),
            report: report.clone(),
        };
        *self
            .published
            .view
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(view));
        self.means.registry.published();
    }

    /// One standing session on every member that answers, while this node may recover the cluster.
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
                self.means.sessions.close();
            }
            if !leads {
                return;
            }
        }
        for server in snapshot.servers.values() {
            if server.probe.reach() == Reach::Answering && self.stands.insert(server.id.clone()) {
                let sessions = Arc::clone(&self.means.sessions);
                let id = server.id.clone();
                self.standing.spawn(async move { sessions.stand(id).await });
            }
            if server.probe.is_refused() {
                self.means.sessions.end(&server.id);
            }
        }
    }

    async fn carry_out(&mut self, order: Order) {
        // Should its end not be recorded, the open row is found again in the next round.
        self.resumed = false;
        let begun = self.means.clock.now();
        let means = Arc::clone(&self.means);
        match self.look_on(means.carry_out(order)).await {
            Ok(row) => {
                let has_lease = self.means.lease.epoch_for(Duration::ZERO) == Some(row.epoch);
                let no_right = !has_lease || self.means.right.was_refused(begun);
                let no_fault = no_right || self.means.lease.was_frozen_since(begun);
                self.judge
                    .note_ended(&row, no_fault, self.means.clock.now());
            }
            Err(error) => {
                tracing::warn!(cluster = %self.means.cluster, %error, "recovery not begun, or left open");
                // Whoever has lost the lease decides nothing until it has one again, and then at once.
                if error != NotBegun::NoLease {
                    self.judge.not_begun(self.means.clock.now());
                }
            }
        }
    }

    /// Waits for a recovery. The cluster goes on being analysed and published meanwhile. Nothing else is
    /// decided.
    async fn look_on<T>(&self, recovery: impl Future<Output = T>) -> T {
        let mut recovery = std::pin::pin!(recovery);
        loop {
            // Not at each reading: most recoveries are over by then, and none waits for an analysis.
            if let Ok(done) = timeout(SLOW, &mut recovery).await {
                return done;
            }
            // What shows in the middle of a recovery is no history: no finding is remembered.
            if let Some(snapshot) = self.means.snapshot() {
                let report = analyze(&snapshot, &self.means.registry.settings.analysis);
                self.publish(&snapshot, &report);
            }
        }
    }

    /// Whether an open recovery has turned up since this was asked last.
    fn take_unfinished(&self) -> bool {
        let mut inner = self.means.registry.lock();
        let entry = inner.clusters.get_mut(&self.means.cluster);
        entry.is_some_and(|entry| std::mem::take(&mut entry.unfinished))
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
        let rows = match self.means.store.running_recoveries().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(error = error.with_causes(), "open recoveries not readable");
                return false;
            }
        };
        self.resumed = true;
        let mut any = false;
        for row in rows
            .into_iter()
            .filter(|row| row.cluster == self.means.cluster)
        {
            // Each attempt is journaled: none is made while nothing could be finished or undone.
            if row.kind == RecoveryKind::Switchover
                && (self.judge.is_pausing(snapshot.taken_at) || !self.seems_to_have_right(snapshot))
            {
                self.resumed = false;
                continue;
            }
            any = true;
            let means = Arc::clone(&self.means);
            if let Err(error) = self.look_on(means.resume(row)).await {
                tracing::warn!(%error, "recovery not resumed");
                self.resumed = false;
                if matches!(error, NotBegun::LeftOpen { .. }) {
                    self.judge.not_begun(self.means.clock.now());
                }
            }
        }
        any
    }
}

/// What every question to a policy carries.
pub(crate) fn context(snapshot: &Snapshot, node: &NodeName, what: &str) -> Context {
    Context {
        decision: format!(
            "{}-{}-{what}",
            snapshot.cluster.id,
            snapshot.taken_at.micros()
        ),
        now: u32::try_from(snapshot.wall.millis() / 1000).unwrap_or(u32::MAX),
        node: node.to_string(),
        peers: Vec::new(),
        peers_answering: 0,
        extra: None,
    }
}

/// A policy's reason with identities instead of indexes.
pub(crate) fn reason(reason: &policy::Reason, ids: &[ServerId]) -> Reason {
    let id = |index: &u32| {
        usize::try_from(*index)
            .ok()
            .and_then(|index| ids.get(index))
            .cloned()
    };
    Reason {
        code: reason.code.clone(),
        text: reason.text.clone(),
        about: reason.about.iter().filter_map(id).collect(),
    }
}

impl Means {
    pub(crate) fn count_policy_call(&self, took: Duration, fell_back: bool) {
        self.counters.policy_calls.add();
        self.counters
            .policy_micros
            .add_n(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if fell_back {
            self.counters.policy_fallbacks.add();
        }
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
