//! The other Baton nodes: asks each of them for its report, for ever.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::ids::{Address, NodeName};
use baton_core::leadership::{self, Contact};
use baton_core::time::Timestamp;
use baton_ports::{Clock, PeerFailure, PeerReport, PeerSighting, Peers};
use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::locking::lock;

/// How long a peer holds a request before it answers that nothing changed. The end of the peer's
/// process ends the pending request, so it is noticed at once.
const WAIT: Duration = Duration::from_secs(1);
/// A peer that has not answered this long after that is silent.
const LIMIT: Duration = Duration::from_millis(700);
/// Pause before a peer that did not answer is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// What is known of one peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerState {
    pub(crate) report: Option<PeerReport>,
    pub(crate) answered: Option<Timestamp>,
    /// When this start of its process answered first.
    pub(crate) heard_since: Option<Timestamp>,
    /// Since when it does not answer, and how that shows.
    pub(crate) failing: Option<(Timestamp, PeerFailure)>,
}

impl PeerState {
    /// The facts that an election decides by; `None` if the peer has never answered.
    fn facts(self) -> Option<leadership::Peer> {
        let report = self.report?;
        let prefix = format!("{}-", report.name);
        let start = report.incarnation.strip_prefix(&prefix).map(str::to_owned);
        let contact = match self.failing {
            None => Contact::Answers,
            Some((since, PeerFailure::Gone)) => Contact::Gone(since),
            Some((since, PeerFailure::Silent | PeerFailure::Strange)) => Contact::Silent(since),
        };
        Some(leadership::Peer {
            name: report.name,
            start,
            contact,
            heard_since: self.heard_since,
            leads: report.acts,
            granted: report.granted,
            epoch: report.epoch,
            hears: report.hears,
        })
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

    /// Told whenever a report changed, or whether a peer answers.
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
        // The tasks never end by themselves. Without peers there is nothing to do.
        while tasks.join_next().await.is_some() {}
        std::future::pending::<()>().await;
    }

    async fn watch(&self, index: usize) {
        let Some((url, slot)) = self.slots.get(index) else {
            return;
        };
        // The first request asks for an answer at once.
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

    /// The facts of the peers that have answered at least once, for an election.
    pub(crate) fn known(&self) -> leadership::Peers {
        let states = self.states().into_iter();
        leadership::Peers(states.filter_map(|(_, state)| state.facts()).collect())
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

    /// How the peers that answer within `limit` see these servers: name of the peer, and what it
    /// sees.
    pub(crate) async fn ask(
        &self,
        servers: &[Address],
        limit: Duration,
    ) -> Vec<(NodeName, Vec<PeerSighting>)> {
        let asked = self.slots.iter().map(|(url, slot)| async move {
            let state = read(slot);
            // A peer that is known to be silent would only cost the limit.
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

/// Takes in what came of a request. True if it changes anything that others wait for.
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

/// No other nodes: for a single node, and for tests.
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
    use baton_core::ids::LeaseEpoch;

    use super::*;

    fn report(start: &str) -> PeerReport {
        PeerReport {
            name: NodeName::new("n2"),
            incarnation: format!("n2-{start}"),
            acts: false,
            granted: false,
            epoch: LeaseEpoch(3),
            leader: None,
            store_answers: true,
            backend_node: None,
            hears: Vec::new(),
            primaries: Vec::new(),
        }
    }

    #[test]
    fn a_new_start_of_a_peer_is_heard_since_its_first_answer() {
        let slot = Mutex::new(PeerState::default());
        let hear = |start: &str, at: u64| {
            note(&slot, Ok(report(start)), Timestamp::from_micros(at));
            read(&slot).facts().unwrap()
        };
        hear("a0-1", 10);
        let first = hear("b0-1", 20);
        assert_eq!(first.start.as_deref(), Some("b0-1"));
        assert_eq!(hear("b0-1", 30).heard_since, first.heard_since);
        assert_eq!(first.heard_since, Some(Timestamp::from_micros(20)));
    }

    #[test]
    fn a_peer_is_silent_since_its_first_failure() {
        let slot = Mutex::new(PeerState::default());
        let at = Timestamp::from_micros;
        assert!(note(&slot, Ok(report("a0-1")), at(10)));
        assert!(note(&slot, Err(PeerFailure::Silent), at(20)));
        assert!(!note(&slot, Err(PeerFailure::Silent), at(30)));
        let facts = read(&slot).facts().unwrap();
        assert_eq!(facts.contact, Contact::Silent(at(20)));
    }
}
