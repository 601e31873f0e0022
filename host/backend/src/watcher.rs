//! One task per node, so that a silent node never delays another.
//!
//! The pause between two probes happens on the server, in front of the question: the session always
//! has a read outstanding, and the end of the server's process is noticed within milliseconds.

use std::sync::Arc;
use std::time::Duration;

use baton_core::model::ProbeFailure;
use baton_core::time::Timestamp;
use baton_ports::{BackendFacts, BackendNodes, BackendProof, BackendWatch, Clock, ProofAnswer};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::health;
use crate::progress::{Probe, Reading};
use crate::spec::Timing;

/// A session older than this is replaced: what a new one would meet (no free connection, a changed
/// password, a blocked host) stays hidden from an old one.
const SESSION_LIFE: Duration = Duration::from_secs(10);

/// Time between two probes while no node can be used, or a change is under way.
const URGENT: Duration = Duration::from_millis(50);

/// Time between two attempts at a node that fails; it is asked for no longer than the interval.
const RETRY: Duration = Duration::from_millis(250);

/// A wrong password is corrected by a person, and some servers count the attempts.
const RETRY_LOGIN: Duration = Duration::from_secs(2);

/// How eagerly nodes are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As configured.
    Steady,
    /// As fast as is decent.
    Urgent,
}

/// What a watcher is given.
pub(crate) struct Assignment {
    pub(crate) node: usize,
    pub(crate) nodes: Arc<dyn BackendNodes>,
    pub(crate) timing: Timing,
    /// Of the jitter between probes.
    pub(crate) seed: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) found: mpsc::Sender<(usize, Probe)>,
    pub(crate) pace: watch::Receiver<Pace>,
    pub(crate) wake: Arc<Notify>,
}

/// Watches one node until nobody listens any more.
pub(crate) struct Watcher {
    given: Assignment,
    open: Option<Open>,
    jitter: SmallRng,
}

struct Open {
    session: Box<dyn BackendWatch>,
    since: Instant,
    /// Nothing has been read yet: the first reading comes without a pause.
    fresh: bool,
}

impl Watcher {
    pub(crate) fn new(given: Assignment) -> Self {
        Self {
            jitter: SmallRng::seed_from_u64(given.seed),
            given,
            open: None,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let outcome = self.probe().await;
            let rest = outcome
                .as_ref()
                .err()
                .map(|failure| self.retry_after(failure));
            let ended = self.given.clock.now();
            let probe = match outcome {
                Ok((at, reading)) => Probe {
                    at,
                    ended,
                    outcome: Ok(reading),
                },
                Err(failure) => Probe {
                    at: ended,
                    ended,
                    outcome: Err(failure),
                },
            };
            if self
                .given
                .found
                .send((self.given.node, probe))
                .await
                .is_err()
            {
                return;
            }
            if let Some(rest) = rest {
                self.rest(rest).await;
            }
        }
    }

    /// Waits before the next attempt at a failing node.
    async fn rest(&mut self, rest: Duration) {
        tokio::select! {
            biased;
            () = sleep(rest) => {}
            () = self.given.wake.notified() => {}
        }
    }

    fn retry_after(&self, failure: &ProbeFailure) -> Duration {
        match failure {
            // The session was ended: whether the server was, too, a new one tells at once.
            ProbeFailure::Reset => Duration::ZERO,
            // An attempt that ran into its limit has waited enough.
            ProbeFailure::Timeout(_) => URGENT,
            ProbeFailure::Authentication { .. } => RETRY_LOGIN,
            _ if *self.given.pace.borrow() == Pace::Urgent => URGENT,
            _ => RETRY.min(self.given.timing.interval),
        }
    }

    /// One probe: when it was evaluated, and what came.
    async fn probe(&mut self) -> Result<(Timestamp, Reading), ProbeFailure> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.since.elapsed() >= SESSION_LIFE)
        {
            self.open = None;
        }
        let pause = self.pause();
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.connect().await?,
        };
        let pause = if open.fresh { Duration::ZERO } else { pause };
        let wake = self.given.wake.clone();
        // What ends badly, or is left in the middle of an answer, is not put back: dropping it ends
        // the session.
        let limit = self.given.timing.read;
        let answer = tokio::select! {
            biased;
            read = open.session.facts(pause, limit) => read?,
            () = wake.notified(), if !pause.is_zero() => {
                open = self.connect().await?;
                open.session.facts(Duration::ZERO, limit).await?
            }
        };
        open.fresh = false;
        let asked = self.given.clock.now();
        let facts = answer.facts.as_ref().ok();
        let proven = prove(open.session.as_mut(), facts, limit).await?;
        if proven.reusable {
            self.open = Some(open);
        }
        let reading = Reading {
            facts: answer.facts,
            proof: proven.proof,
            proof_took: self.given.clock.now().since(asked),
            content: proven.content,
            round_trip: answer.round_trip,
        };
        Ok((answer.began, reading))
    }

    fn pause(&mut self) -> Duration {
        let interval = self.given.timing.interval;
        match *self.given.pace.borrow() {
            Pace::Urgent => URGENT.min(interval),
            Pace::Steady => interval.mul_f64(0.9 + 0.2 * self.jitter.random::<f64>()),
        }
    }

    async fn connect(&mut self) -> Result<Open, ProbeFailure> {
        let limit = self.given.timing.connect * 2;
        Ok(Open {
            session: self.given.nodes.watch(self.given.node, limit).await?,
            since: Instant::now(),
            fresh: true,
        })
    }
}

/// The proof and what the tables say, if they can be read.
async fn prove(
    session: &mut dyn BackendWatch,
    facts: Option<&BackendFacts>,
    limit: Duration,
) -> Result<ProofAnswer, ProbeFailure> {
    if facts.is_some_and(health::can_be_read) {
        return session.prove(limit).await;
    }
    Ok(ProofAnswer {
        proof: BackendProof::NotTried,
        content: None,
        reusable: true,
    })
}
