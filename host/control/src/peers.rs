//! The other Baton nodes: who of them lives, who acts, what they see.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::ids::{Address, NodeName};
use baton_core::time::Timestamp;
use baton_ports::{Clock, PeerFailure, PeerReport, PeerSighting, Peers};
use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::duplicate_name::is_later;
use crate::lease::Holder;
use crate::locking::lock;

/// How long a peer keeps a question before it answers that nothing changed. The pending answer is what shows its end at once.
const WAIT: Duration = Duration::from_secs(1);
/// How long after that it is silent.
const LIMIT: Duration = Duration::from_millis(700);
/// Pause before a peer that did not answer is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// Whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It answers.
    Living,
    /// Its process is gone, since then.
    Gone(Timestamp),
    /// It does not answer, since then: frozen, or cut off from here.
    Silent(Timestamp),
    /// A later start of it answers since then, so the process that is asked about has ended.
    Replaced(Timestamp),
    /// It is none of the configured peers, or never answered.
    Unknown,
}

/// What is known of one peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerState {
    pub(crate) report: Option<PeerReport>,
    pub(crate) answered: Option<Timestamp>,
    /// Since when this start of it is heard.
    pub(crate) heard_since: Option<Timestamp>,
    /// Failing since, and how.
    pub(crate) failing: Option<(Timestamp, PeerFailure)>,
}

/// Which start of a node speaks, compared with the one that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Same,
    Earlier,
    Later,
}

impl PeerState {
    /// `None` if it is another node.
    fn starts_as(&self, holder: &Holder) -> Option<Start> {
        let report = self.report.as_ref().filter(|r| r.name == holder.name)?;
        let prefix = format!("{}-", holder.name);
        let heard = report.incarnation.strip_prefix(&prefix);
        let (Some(heard), Some(asked)) = (heard, holder.start.as_deref()) else {
            return Some(Start::Same);
        };
        Some(if heard == asked {
            Start::Same
        } else if is_later(heard, asked) {
            Start::Later
        } else {
            Start::Earlier
        })
    }

    fn life(&self) -> Life {
        match self.failing {
            None => Life::Living,
            Some((since, PeerFailure::Gone)) => Life::Gone(since),
            Some((since, PeerFailure::Silent | PeerFailure::Strange)) => Life::Silent(since),
        }
    }
}

/// All configured peers.
pub(crate) struct PeerTable {
    port: Arc<dyn Peers>,
    clock: Arc<dyn Clock>,
    slots: Vec<(String, Mutex<PeerState>)>,
    changes: watch::Sender<u64>,
}

impl PeerTable {
    pub(crate) fn new(port: Arc<dyn Peers>, clock: Arc<dyn Clock>, urls: &[String]) -> Self {
        let slots = urls
            .iter()
            .map(|url| (url.clone(), Mutex::default()))
            .collect();
        Self {
            port,
            clock,
            slots,
            changes: watch::Sender::new(0),
        }
    }

    /// Told whenever a report or a life changed.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Asks all peers, for ever.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        for index in 0..self.slots.len() {
            let table = Arc::clone(&self);
            tasks.spawn(async move { table.watch(index).await });
        }
        // A task never ends by itself; without peers there is nothing to do.
        while tasks.join_next().await.is_some() {}
        std::future::pending::<()>().await;
    }

    async fn watch(&self, index: usize) {
        let Some((url, slot)) = self.slots.get(index) else {
            return;
        };
        // The first answer is wanted at once.
        let mut wait = Duration::ZERO;
        loop {
            let outcome = self.port.report(url, wait, LIMIT).await;
            let failed = outcome.is_err();
            if note(slot, outcome, self.clock.now()) {
                self.changes
                    .send_modify(|count| *count = count.wrapping_add(1));
            }
            wait = if failed { Duration::ZERO } else { WAIT };
            if failed {
                sleep(RETRY).await;
            }
        }
    }

    /// Configured peers with what is known of each.
    pub(crate) fn states(&self) -> Vec<(String, PeerState)> {
        self.slots
            .iter()
            .map(|(url, slot)| (url.clone(), read(slot)))
            .collect()
    }

    /// Reports of the peers that answer.
    pub(crate) fn living(&self) -> Vec<PeerReport> {
        let states = self.states().into_iter();
        states
            .filter(|(_, state)| state.failing.is_none())
            .filter_map(|(_, state)| state.report)
            .collect()
    }

    /// Names of the peers that answer.
    pub(crate) fn heard(&self) -> Vec<NodeName> {
        self.living()
            .into_iter()
            .map(|report| report.name)
            .collect()
    }

    /// Whether the node lives, as seen from here; that start of it, if the start is known.
    pub(crate) fn life(&self, holder: &Holder) -> Life {
        let states = self.states().into_iter();
        let named: Vec<PeerState> = states
            .map(|(_, state)| state)
            .filter(|state| state.starts_as(holder).is_some())
            .collect();
        let of = |start: Start| {
            named
                .iter()
                .find(|state| state.starts_as(holder) == Some(start))
        };
        if let Some(state) = of(Start::Same) {
            return state.life();
        }
        if let Some(since) = of(Start::Later).and_then(|state| state.heard_since) {
            return Life::Replaced(since);
        }
        // The holder has begun since this node last heard of it.
        of(Start::Earlier).map_or(Life::Unknown, PeerState::life)
    }

    /// True if a peer that answers us hears the node.
    pub(crate) fn is_heard_by_others(&self, name: &NodeName) -> bool {
        self.living()
            .iter()
            .any(|report| report.hears.contains(name))
    }

    /// The peer that acts now, if one says so.
    pub(crate) fn actor(&self) -> Option<NodeName> {
        let acting = self.living().into_iter().filter(|report| report.acts);
        acting
            .max_by_key(|report| report.epoch)
            .map(|report| report.name)
    }

    /// Place of `own` among all living nodes, by name: whose turn it is when several could do the same.
    pub(crate) fn rank(&self, own: &NodeName) -> u32 {
        let before: BTreeSet<NodeName> =
            self.heard().into_iter().filter(|name| name < own).collect();
        u32::try_from(before.len()).unwrap_or(u32::MAX)
    }

    /// How the peers that answer within `limit` see these servers: peer's name, and its sightings.
    pub(crate) async fn ask(
        &self,
        servers: &[Address],
        limit: Duration,
    ) -> Vec<(NodeName, Vec<PeerSighting>)> {
        let asked = self.slots.iter().map(|(url, slot)| async move {
            let state = read(slot);
            // One that is known to be silent would only cost the limit.
            let name = state.report.filter(|_| state.failing.is_none())?.name;
            let seen = self.port.sightings(url, servers, limit).await.ok()?;
            Some((name, seen))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// How many peers are configured.
    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }
}

fn read(slot: &Mutex<PeerState>) -> PeerState {
    lock(slot).clone()
}

/// Takes an outcome in; true if it changes anything that others wait for.
fn note(slot: &Mutex<PeerState>, outcome: Result<PeerReport, PeerFailure>, now: Timestamp) -> bool {
    let mut state = lock(slot);
    match outcome {
        Ok(report) => {
            let changed = state.failing.take().is_some() || state.report.as_ref() != Some(&report);
            let incarnation = |report: &PeerReport| report.incarnation.clone();
            if state.report.as_ref().map(incarnation) != Some(incarnation(&report)) {
                state.heard_since = Some(now);
            }
            state.answered = Some(now);
            state.report = Some(report);
            changed
        }
        Err(failure) => {
            let before = state.failing;
            let since = before.map_or(now, |(since, _)| since);
            state.failing = Some((since, failure));
            before.map(|(_, old)| old) != Some(failure)
        }
    }
}

/// No other nodes: for a single one, and for tests.
#[derive(Debug)]
pub struct NoPeers;

#[async_trait::async_trait]
impl Peers for NoPeers {
    async fn report(
        &self,
        _url: &str,
        wait: Duration,
        _limit: Duration,
    ) -> Result<PeerReport, PeerFailure> {
        sleep(wait).await;
        Err(PeerFailure::Silent)
    }

    async fn sightings(
        &self,
        _url: &str,
        _servers: &[Address],
        _limit: Duration,
    ) -> Result<Vec<PeerSighting>, PeerFailure> {
        Err(PeerFailure::Silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(start: &str) -> PeerReport {
        PeerReport {
            name: NodeName::new("n2"),
            incarnation: format!("n2-{start}"),
            acts: false,
            granted: false,
            epoch: baton_core::ids::LeaseEpoch(3),
            leader: None,
            store_answers: true,
            backend_node: None,
            hears: Vec::new(),
            primaries: Vec::new(),
        }
    }

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(1)
        }

        fn wall(&self) -> baton_core::time::WallTime {
            baton_core::time::WallTime::from_millis(1)
        }
    }

    #[test]
    fn a_holder_whose_later_start_answers_is_gone() {
        let table = PeerTable::new(Arc::new(NoPeers), Arc::new(Stopped), &["url".to_owned()]);
        let holder = |start: &str| Holder {
            name: NodeName::new("n2"),
            start: Some(start.to_owned()),
        };
        assert_eq!(table.life(&holder("a0-1")), Life::Unknown);
        let hear = |start: &str, at: u64| {
            let (_, slot) = &table.slots[0];
            note(slot, Ok(report(start)), Timestamp::from_micros(at))
        };
        hear("a0-1", 10);
        assert_eq!(table.life(&holder("a0-1")), Life::Living);
        hear("b0-1", 20);
        hear("b0-1", 30);
        let since = Timestamp::from_micros(20);
        assert_eq!(table.life(&holder("a0-1")), Life::Replaced(since));
        assert_eq!(table.life(&holder("b0-1")), Life::Living);
        // A start that this node has not heard yet, of a node whose earlier start it heard last.
        assert_eq!(table.life(&holder("c0-1")), Life::Living);
    }
}
