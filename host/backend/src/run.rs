//! The loop: the only owner of everything known about the backends.

mod choice;
mod roles;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use baton_core::policy::Context;
use baton_core::policy::backend::{SelectQuestion, confine};
use baton_core::time::Timestamp;
use baton_ports::{BackendNodes, BackendStatus, Clock, Selectors};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::handle::{BackendHandle, REPORTS_MAX, Report};
use crate::judging::{Judging, Outline};
use crate::progress::Probe;
use crate::question::{self, Circumstances, PeerKnowledge};
use crate::spec::BackendSpec;
use crate::watcher::{Assignment, Pace, Watcher};
use choice::Choice;
use roles::{Role, Roles};

/// Time between two questions while nothing changes: policies may decide by age, and silence
/// changes only with time.
const TICK: Duration = Duration::from_secs(1);

/// The first choice waits this long for the first probe of every node, so that a slow answer of the
/// preferred node does not move the whole fleet to another.
const FIRST_CHOICE_WITHIN: Duration = Duration::from_secs(1);

/// After this time without a usable node, probes go back to their usual interval.
const URGENT_FOR: Duration = Duration::from_mins(1);

/// Probes that wait for the loop.
const PROBES_MAX: usize = 256;

/// Watches the backends and chooses. Dropping [`Backend::run`] midway ends all sessions; a
/// promotion under way may be left half done. The next node that looks decides anew.
pub struct Backend {
    spec: Arc<BackendSpec>,
    nodes: Arc<dyn BackendNodes>,
    clock: Arc<dyn Clock>,
    selectors: Arc<dyn Selectors>,
    judging: Judging,
    choice: Choice,
    roles: Roles,
    failures: BTreeMap<String, u32>,
    asked: Option<Asked>,
    questions: u64,
    started: Timestamp,
    idle_since: Option<Timestamp>,
    wakes: Vec<Arc<Notify>>,
    probes: mpsc::Receiver<(usize, Probe)>,
    outlets: Outlets,
    inlets: Inlets,
}

/// What the last question was about, ages left out.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    nodes: Vec<Outline>,
    leader: bool,
    peers: PeerKnowledge,
    copies: Vec<String>,
    current: Option<usize>,
}

struct Outlets {
    found: mpsc::Sender<(usize, Probe)>,
    pace: watch::Sender<Pace>,
    status: watch::Sender<Arc<BackendStatus>>,
}

struct Inlets {
    reports: mpsc::Receiver<Report>,
    leader: watch::Receiver<bool>,
    epoch: watch::Receiver<u64>,
    peers: watch::Receiver<PeerKnowledge>,
    copies: watch::Receiver<Vec<String>>,
    accepted: mpsc::Receiver<()>,
    looks: mpsc::Receiver<()>,
}

/// What the loop wakes up for.
enum Event {
    Probed(usize, Probe),
    Reported(Report),
    Told,
    Role(Role),
    Accepted,
    Look,
    Tick,
    Closed,
}

impl Backend {
    /// Nothing is opened until [`Backend::run`].
    pub fn new(
        spec: BackendSpec,
        nodes: Arc<dyn BackendNodes>,
        selectors: Arc<dyn Selectors>,
        clock: Arc<dyn Clock>,
    ) -> (Self, BackendHandle) {
        let (found, probes) = mpsc::channel(PROBES_MAX);
        let (reports_in, reports) = mpsc::channel(REPORTS_MAX);
        let (leader_in, leader) = watch::channel(false);
        let (epoch_in, epoch) = watch::channel(0);
        let (peers_in, peers) = watch::channel(PeerKnowledge::default());
        let (copies_in, copies) = watch::channel(Vec::new());
        let (accept, accepted) = mpsc::channel(1);
        let (look, looks) = mpsc::channel(1);
        let (choice, targets) = Choice::new();
        let (status_out, status) = watch::channel(Arc::new(BackendStatus::default()));
        let handle = BackendHandle {
            targets,
            status,
            reports: reports_in,
            leader: leader_in,
            epoch: epoch_in,
            peers: peers_in,
            copies: copies_in,
            accept,
            look,
        };
        let judging = Judging::new(&spec);
        let backend = Self {
            wakes: judging.nodes.iter().map(|_| Arc::default()).collect(),
            roles: Roles::new(&spec, &nodes, Arc::clone(&clock)),
            started: clock.now(),
            spec: Arc::new(spec),
            nodes,
            clock,
            selectors,
            judging,
            choice,
            failures: BTreeMap::new(),
            asked: None,
            questions: 0,
            idle_since: None,
            probes,
            outlets: Outlets {
                found,
                pace: watch::channel(Pace::Steady).0,
                status: status_out,
            },
            inlets: Inlets {
                reports,
                leader,
                epoch,
                peers,
                copies,
                accepted,
                looks,
            },
        };
        (backend, handle)
    }

    /// Runs until every handle is dropped.
    pub async fn run(mut self) {
        let mut watchers = self.watchers();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                // The order is fixed so that a simulated run can be repeated.
                biased;
                report = self.inlets.reports.recv() => report.map_or(Event::Closed, Event::Reported),
                changed = told(&mut self.inlets.leader, &mut self.inlets.epoch, &mut self.inlets.peers, &mut self.inlets.copies) => if changed { Event::Told } else { Event::Closed },
                Some(()) = self.inlets.accepted.recv() => Event::Accepted,
                Some(()) = self.inlets.looks.recv() => Event::Look,
                role = self.roles.finished() => Event::Role(role),
                Some((node, probe)) = self.probes.recv() => Event::Probed(node, probe),
                _ = tick.tick() => Event::Tick,
            };
            if !self.handle(event).await {
                break;
            }
        }
        watchers.shutdown().await;
    }

    fn watchers(&self) -> JoinSet<()> {
        let mut watchers = JoinSet::new();
        for (at, (node, wake)) in self.judging.nodes.iter().zip(&self.wakes).enumerate() {
            let timing = self
                .spec
                .clusters
                .get(node.cluster)
                .map(|cluster| cluster.timing);
            let watcher = Watcher::new(Assignment {
                node: at,
                nodes: Arc::clone(&self.nodes),
                timing: timing.unwrap_or_default(),
                seed: seed(&self.spec.node, &node.id),
                clock: self.clock.clone(),
                found: self.outlets.found.clone(),
                pace: self.outlets.pace.subscribe(),
                wake: wake.clone(),
            });
            watchers.spawn(watcher.run());
        }
        watchers
    }

    /// Takes in an event and does what follows. `false` = nobody listens any more.
    async fn handle(&mut self, event: Event) -> bool {
        let now = self.clock.now();
        let mut due = false;
        match event {
            Event::Probed(node, probe) => self.judging.take(node, probe, now),
            Event::Reported(report) => self.note(report),
            Event::Told => {
                let epoch = *self.inlets.epoch.borrow();
                self.judging.note_epoch(epoch, now);
            }
            Event::Role(role) => self.wake(role.nodes()),
            Event::Accepted => self.judging.accept_history(now),
            Event::Look => self.wake(0..self.wakes.len()),
            Event::Tick => due = true,
            Event::Closed => return false,
        }
        self.review_roles(now);
        self.choose(due).await;
        self.pace(self.clock.now());
        self.publish();
        true
    }

    /// A statement failed: that node is looked at again at once.
    fn note(&mut self, report: Report) {
        let Some(node) = self.choice.node_of(report.generation) else {
            return;
        };
        let count = self.failures.entry(report.class).or_default();
        *count = count.saturating_add(1);
        self.wake([node]);
    }

    fn wake(&self, nodes: impl IntoIterator<Item = usize>) {
        for node in nodes {
            if let Some(wake) = self.wakes.get(node) {
                wake.notify_one();
            }
        }
    }

    fn review_roles(&mut self, now: Timestamp) {
        let peers = self.inlets.peers.borrow().clone();
        let used = self.choice.last();
        let ask = self.roles.review(&self.judging, (used, &peers), now);
        self.wake(ask);
    }

    /// Asks the selector if anything changed that it could see, or if it is time.
    async fn choose(&mut self, due: bool) {
        let now = self.clock.now();
        if !self.judging.all_tried() && now.since(self.started) < FIRST_CHOICE_WITHIN {
            return;
        }
        let about = Asked {
            nodes: self.judging.outlines(),
            leader: *self.inlets.leader.borrow(),
            peers: self.inlets.peers.borrow().clone(),
            copies: self.inlets.copies.borrow().clone(),
            current: self.choice.current(),
        };
        let changed = self.asked.as_ref() != Some(&about);
        if !(changed || due || !self.failures.is_empty()) {
            return;
        }
        self.questions += 1;
        let failures = std::mem::take(&mut self.failures).into_iter().collect();
        let circumstances = Circumstances {
            context: self.context(&about.peers),
            now,
            peers: &about.peers,
            current: about.current,
            since: self.choice.since(),
            changed: self.choice.changed(),
            changes: self.choice.changes(now),
            leader: about.leader,
            failures,
            zone: self.spec.zone.as_deref(),
        };
        let mut question = question::question(&self.judging, circumstances);
        self.confine(&mut question);
        let reply = self.selectors.select(&question).await;
        self.choice.take(reply, &self.judging, self.clock.now());
        if let Some(node) = self.choice.current() {
            self.judging.remember(node);
        }
        self.asked = Some(Asked {
            current: self.choice.current(),
            ..about
        });
    }

    /// The state is in one backend: another one may be used only once everything was copied there.
    fn confine(&self, question: &mut SelectQuestion) {
        let copies = self.inlets.copies.borrow();
        confine(question, self.holder().as_deref(), |backend| {
            copies.iter().any(|copy| copy == backend)
        });
    }

    /// The backend that holds the state, as far as known.
    fn holder(&self) -> Option<String> {
        let cluster = self.spec.clusters.get(self.judging.holder()?)?;
        Some(cluster.name.clone())
    }

    fn context(&self, peers: &PeerKnowledge) -> Context {
        let wall = self.clock.wall().millis();
        Context {
            decision: format!("{}-backend-{wall}-{}", self.spec.node, self.questions),
            now: u32::try_from(wall / 1000).unwrap_or(u32::MAX),
            node: self.spec.node.clone(),
            peers: peers.peers.clone(),
            peers_answering: peers.answering,
            extra: None,
        }
    }

    fn pace(&mut self, now: Timestamp) {
        let idle = self.choice.current().is_none();
        self.idle_since = if idle {
            self.idle_since.or(Some(now))
        } else {
            None
        };
        let urgent = self
            .idle_since
            .is_some_and(|since| now.since(since) < URGENT_FOR);
        let pace = if urgent || self.roles.is_busy() {
            Pace::Urgent
        } else {
            Pace::Steady
        };
        self.outlets
            .pace
            .send_if_modified(|known| std::mem::replace(known, pace) != pace);
    }

    fn publish(&self) {
        let now = self.clock.now();
        let peers = self.inlets.peers.borrow().clone();
        let status = BackendStatus {
            clusters: self.cluster_status(&peers, now),
            selection: self.choice.status(&self.judging, now),
            holder: self.holder(),
            highest_epoch: self.judging.highest_epoch(),
        };
        self.outlets.status.send_replace(Arc::new(status));
    }
}

/// Seed of the jitter of one watcher: another one on each Baton node, so that they do not probe a
/// database in step, and always the same, so that a simulated run can be repeated.
fn seed(baton: &str, node: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (baton, node).hash(&mut hasher);
    hasher.finish()
}

/// Waits for news from the rest of the program. `false` = all handles are gone.
async fn told(
    leader: &mut watch::Receiver<bool>,
    epoch: &mut watch::Receiver<u64>,
    peers: &mut watch::Receiver<PeerKnowledge>,
    copies: &mut watch::Receiver<Vec<String>>,
) -> bool {
    let changed = tokio::select! {
        biased;
        changed = leader.changed() => changed,
        changed = epoch.changed() => changed,
        changed = peers.changed() => changed,
        changed = copies.changed() => changed,
    };
    changed.is_ok()
}
