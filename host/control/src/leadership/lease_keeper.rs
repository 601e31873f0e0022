//! Keeps the lease: performs what the [`Election`] asks for, and answers questions about it.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use baton_core::ids::{LeaseEpoch, NodeName};
use baton_core::leadership::{
    Answer, Election, ElectionSettings, Event, FAST_TICK, Holder, Leading, LeaseState, Loss, Note,
    Order, Peers, Request, Role, Turn, View,
};
use baton_core::time::Timestamp;
use baton_ports::{Claim, Clock, Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::peer_table::PeerTable;
use crate::locking::lock;

/// Name of the one lease; leases are named so that a fleet can be divided later.
pub const LEASE: &str = "fleet";

/// The lease of this node as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// Its epoch.
    pub epoch: LeaseEpoch,
    /// The holder in the row: this start of this node.
    pub holder: NodeName,
    /// Its time to live.
    pub ttl: Duration,
}

/// How the lease is kept.
#[derive(Clone, Debug)]
pub(crate) struct LeaseSettings {
    pub(crate) node: NodeName,
    pub(crate) ttl: Duration,
    /// Guard period of verified steps: a gained lease counts after this time.
    pub(crate) guard: Duration,
    /// Several nodes share the store. False: the store is this node's own, and nobody else can
    /// open it.
    pub(crate) shared: bool,
    /// Lead by the clusters' quorum while the store is away.
    pub(crate) without_store: bool,
}

/// Keeps the lease.
pub(crate) struct LeaseKeeper {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    peers: Arc<PeerTable>,
    settings: LeaseSettings,
    /// The holder in the row: this start of this node.
    holder: NodeName,
    election: Mutex<Election>,
    leading: watch::Sender<Option<Leading>>,
    /// Why the store did not answer the last request.
    problem: Mutex<Option<String>>,
    /// Number of operations that run.
    busy: Arc<AtomicU32>,
    ordered: Notify,
}

/// Counts as a running operation until dropped.
pub(crate) struct Busy {
    count: Arc<AtomicU32>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl LeaseKeeper {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        peers: Arc<PeerTable>,
        settings: LeaseSettings,
        start: &str,
    ) -> Self {
        // A store of its own has one holder at a time: this process need not wait for the end of a
        // lease that an earlier process of this node held.
        let holder = if settings.shared {
            Holder::row_name(&settings.node, start)
        } else {
            settings.node.clone()
        };
        let election = ElectionSettings {
            node: settings.node.clone(),
            holder: holder.clone(),
            ttl: settings.ttl,
            guard: settings.guard,
            without_store: settings.without_store,
        };
        let election = Election::new(election, clock.now());
        Self {
            store,
            clock,
            peers,
            settings,
            holder,
            election: Mutex::new(election),
            leading: watch::Sender::new(None),
            problem: Mutex::new(None),
            busy: Arc::default(),
            ordered: Notify::new(),
        }
    }

    /// Takes and renews the lease for ever. Dropping the future keeps what is held until it runs
    /// out.
    pub(crate) async fn keep(&self) {
        let mut peers = self.peers.subscribe();
        let mut pending: Option<Pending<'_, Result<Claim, StoreError>>> = None;
        let mut releasing: Option<Pending<'_, ()>> = None;
        let mut event = Event::Started;
        loop {
            let turn = self.advance(event);
            if let Some(request) = turn.request {
                pending = Some(self.send(&request));
            }
            if let Some(epoch) = turn.release {
                releasing = Some(Box::pin(self.release_epoch(epoch)));
            }
            event = tokio::select! {
                biased;
                outcome = ended(&mut pending) => {
                    pending = None;
                    Event::Answered(self.answer(outcome))
                }
                () = ended(&mut releasing) => {
                    releasing = None;
                    Event::Timer
                }
                _ = peers.changed(), if self.peers.count() > 0 => Event::PeersChanged,
                () = self.ordered.notified() => Event::Timer,
                () = sleep(turn.wake_after) => Event::Timer,
            };
        }
    }

    /// Hands an event to the election, publishes the change and logs what is worth it.
    fn advance(&self, event: Event) -> Turn {
        let peers = self.peers.known();
        let mut election = self.election();
        let turn = election.advance(&self.view(&peers), event);
        let leading = election.role().leading();
        // Before the lock is given back: two changes are published in their order.
        self.leading.send_if_modified(|known| {
            let changed = *known != leading;
            *known = leading;
            changed
        });
        drop(election);
        turn.notes.iter().for_each(log);
        turn
    }

    /// Hands an order to the election and gives the lease up if that follows. Dropping the future
    /// leaves the row to its time to live.
    async fn obey(&self, order: Order) {
        let turn = self.advance(Event::Ordered(order));
        if let Some(epoch) = turn.release {
            self.release_epoch(epoch).await;
        }
    }

    async fn release_epoch(&self, epoch: LeaseEpoch) {
        let released = self.store.release_lease(LEASE, &self.holder, epoch).await;
        if let Err(error) = released {
            tracing::warn!(error = error.with_causes(), "lease not released");
        }
    }

    /// Hands over an order that gives nothing up.
    fn note_order(&self, order: Order) {
        self.advance(Event::Ordered(order));
    }

    fn send(&self, request: &Request) -> Pending<'_, Result<Claim, StoreError>> {
        match *request {
            Request::Renew { epoch } => self.store.renew_lease(LEASE, &self.holder, epoch),
            Request::Claim { expected, highest } => {
                let ttl = self.settings.ttl;
                self.store
                    .claim_lease(LEASE, &self.holder, ttl, expected, highest)
            }
        }
    }

    /// Remembers why the store did not answer, for operators.
    fn answer(&self, outcome: Result<Claim, StoreError>) -> Answer {
        let told = outcome.as_ref().err().map(StoreError::with_causes);
        let was_failing = std::mem::replace(&mut *lock(&self.problem), told).is_some();
        match outcome {
            Ok(Claim::Held(state)) => Answer::Granted(state),
            Ok(Claim::Other(state)) => Answer::Denied(state),
            Err(error) => {
                let error = error.with_causes();
                if was_failing {
                    tracing::debug!(error, "lease still not renewed");
                } else {
                    tracing::warn!(error, "lease not renewed");
                }
                Answer::Failed
            }
        }
    }

    fn election(&self) -> MutexGuard<'_, Election> {
        lock(&self.election)
    }
}

/// Questions.
impl LeaseKeeper {
    /// Tells each change of the leadership of this node.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Leading>> {
        self.leading.subscribe()
    }

    /// The epoch, if this node leads and goes on doing so for `needed` as far as the lease goes.
    pub(crate) fn epoch_for(&self, needed: Duration) -> Option<LeaseEpoch> {
        let election = self.election();
        election.epoch_for(self.clock.now(), needed)
    }

    /// True if the lease is half a vote now and for `needed`.
    pub(crate) fn counts_as_vote(&self, needed: Duration) -> bool {
        let election = self.election();
        election.lease_counts(self.clock.now(), needed)
    }

    /// If this process stalled: waits until it is known again who leads, since its lease may have
    /// ended meanwhile.
    ///
    /// Dropping the future changes nothing.
    pub(crate) async fn settle(&self) {
        while self.is_in_doubt() {
            sleep(FAST_TICK).await;
        }
    }

    fn is_in_doubt(&self) -> bool {
        let election = self.election();
        election.is_in_doubt(self.clock.now())
    }

    /// True if this process stalled after `since`.
    pub(crate) fn stalled_since(&self, since: Timestamp) -> bool {
        let election = self.election();
        election.stalled_since(since, self.clock.now())
    }

    /// True while this node leads without the store.
    pub(crate) fn leads_without_store(&self) -> bool {
        matches!(self.election().role(), Role::LeaderWithoutStore { .. })
    }

    /// True while this node leads under an epoch that the store did not grant.
    pub(crate) fn is_self_appointed(&self) -> bool {
        self.election().role().is_self_appointed()
    }

    /// The leader, as far as known.
    pub(crate) fn leader(&self) -> Option<NodeName> {
        let peers = self.peers.known();
        let election = self.election();
        election.leader(&self.view(&peers))
    }

    fn view<'a>(&self, peers: &'a Peers) -> View<'a> {
        View {
            now: self.clock.now(),
            peers,
            busy: self.busy.load(Ordering::Relaxed) > 0,
        }
    }

    /// The highest epoch ever seen.
    pub(crate) fn highest(&self) -> LeaseEpoch {
        self.election().highest()
    }

    /// Why the store did not answer the last request.
    pub(crate) fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// Why this process must not act, if it must not.
    pub(crate) fn barred(&self) -> Option<String> {
        self.election().barred().map(str::to_owned)
    }

    /// The lease as the store knows it, if this node holds it there.
    pub(crate) fn in_store(&self) -> Option<HeldLease> {
        let epoch = self.election().epoch_in_store(self.clock.now())?;
        Some(HeldLease {
            epoch,
            holder: self.holder.clone(),
            ttl: self.settings.ttl,
        })
    }
}

/// Orders.
impl LeaseKeeper {
    /// From now on this process does not act. It gives up the lease if it holds it.
    pub(crate) async fn bar(&self, why: String) {
        self.obey(Order::Bar(why)).await;
    }

    /// Ends what [`Self::bar`] began.
    pub(crate) fn unbar(&self) {
        self.note_order(Order::Unbar);
    }

    /// Marks that an operation runs, until the mark is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy {
            count: Arc::clone(&self.busy),
        }
    }

    /// Claims the lease until this node has it, also from another holder. The lease counts as half
    /// a vote only when the old holder cannot count it any more.
    pub(crate) fn lead(&self) {
        self.note_order(Order::Lead);
        self.ordered.notify_one();
    }

    /// Ends what [`Self::lead`] began.
    pub(crate) fn withdraw_lead(&self) {
        self.note_order(Order::WithdrawLead);
    }

    /// The store refused this node's epoch: asks it at once who holds the lease, not only at the
    /// next renewal.
    pub(crate) fn ask_again(&self) {
        self.note_order(Order::AskStore);
        self.ordered.notify_one();
    }

    /// Gives the lease up and lets the other nodes claim it first.
    pub(crate) async fn step_down(&self) {
        self.obey(Order::StepDown).await;
    }

    /// Gives the lease up because the node stops, so that another node need not wait for its end.
    pub(crate) async fn release(&self) {
        self.obey(Order::Stop).await;
    }

    /// Epochs only grow: raises the floor to `epoch`.
    pub(crate) fn raise_epoch(&self, epoch: LeaseEpoch) {
        self.note_order(Order::RaiseEpoch(epoch));
    }

    /// The whole store was moved after `before`, and this node's lease with it. False if the row
    /// in the new store is somebody else's.
    pub(crate) fn moved(&self, state: &LeaseState, before: Timestamp) -> bool {
        let row = state.clone();
        let is_own = self.election().owns(&row);
        if is_own {
            let sent_at = before;
            self.note_order(Order::Moved { row, sent_at });
        }
        is_own
    }
}

fn log(note: &Note) {
    match note {
        Note::LeaseTaken(epoch) => tracing::info!(lease_epoch = epoch.0, "lease taken"),
        Note::LeadershipLost(loss) => {
            let reason = match loss {
                Loss::HeldByAnother => "another node holds the lease",
                Loss::RanOut => "the lease ran out",
                Loss::AnotherGoesFirst => "another node leads and goes before this one",
                Loss::GivenUp => "this node gave the lease up",
            };
            tracing::warn!(reason, "lease lost");
        }
        Note::GoesOnWithoutStore(epoch) => tracing::warn!(
            lease_epoch = epoch.0,
            "the lease ran out while the state store is away: acting by the clusters' quorum"
        ),
        Note::LeadsWithoutStore(epoch) => tracing::warn!(
            lease_epoch = epoch.0,
            "the state store is away and no node leads: acting by the clusters' quorum"
        ),
        Note::Stalled(missed) => tracing::warn!(
            missed_ms = missed.as_millis() as u64,
            "this process did not run for a while: asking again who leads"
        ),
        Note::Barred(why) => tracing::error!(why, "this process does not act"),
        Note::Unbarred => tracing::info!("this process may act again"),
    }
}

/// The end of what is under way; never, if nothing is.
async fn ended<T>(pending: &mut Option<Pending<'_, T>>) -> T {
    match pending {
        Some(request) => request.as_mut().await,
        None => std::future::pending().await,
    }
}
