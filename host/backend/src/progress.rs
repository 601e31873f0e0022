//! What is known about one node, from one probe to the next. Pure.

use baton_core::model::{ProbeFailure, TimeoutPhase};
use baton_core::policy::{Ms, ProbeView, Reach};
use baton_core::time::Timestamp;
use baton_ports::{BackendContent, BackendFacts, BackendProof, WrongKind};
use std::time::Duration;

use crate::health;

/// Good probes that a node needs after trouble, beside a proof, before it is used again.
const GOOD_AGAIN: u32 = 3;

/// Failed probes in a row after which a node counts as lost, unless the failure speaks for itself.
const LOST_AFTER: u32 = 2;

/// A finished probe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Probe {
    /// When it was evaluated, at the earliest; for a failure, when it was noticed.
    pub(crate) at: Timestamp,
    /// When it ended.
    pub(crate) ended: Timestamp,
    /// What came of it.
    pub(crate) outcome: Result<Reading, ProbeFailure>,
}

/// A full answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    /// The facts. `Err`: what answers is of another kind.
    pub(crate) facts: Result<BackendFacts, WrongKind>,
    /// The proof.
    pub(crate) proof: BackendProof,
    /// Time it took, or was given.
    pub(crate) proof_took: Duration,
    /// What the tables say, if they could be asked.
    pub(crate) content: Option<BackendContent>,
    /// Time the facts took.
    pub(crate) round_trip: Duration,
}

/// Proofs in a row without an answer: when the first of them began, and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

/// How a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No probe has finished.
    NotProbed,
    /// The last probe was answered.
    Answering,
    /// The last probe failed, which may mean nothing: the last answer holds on.
    Suspect,
    /// Not to be used.
    Lost,
}

/// One node's past, as far as it matters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// The last full answer.
    pub(crate) reading: Option<(Timestamp, Reading)>,
    /// What the tables said last, and when they were asked at the earliest.
    pub(crate) content: Option<(Timestamp, BackendContent)>,
    /// The last proof that was tried, and when.
    pub(crate) proof: Option<(Timestamp, BackendProof)>,
    /// Proofs in a row that came to no end, if the last one did not.
    pub(crate) late: Option<Late>,
    /// Proven, and no trouble since.
    pub(crate) proven: bool,
    /// Since when it fails without interruption.
    pub(crate) failing_since: Option<Timestamp>,
    /// Full answers since the last trouble; `None` = no trouble so far.
    recovering: Option<u32>,
    failure: Option<ProbeFailure>,
    failures: u32,
    successes: u32,
    attempted: Option<Timestamp>,
    answered: Option<Timestamp>,
}

impl Progress {
    /// Takes in a finished probe.
    pub(crate) fn take(&mut self, probe: Probe) {
        self.attempted = Some(probe.ended);
        match probe.outcome {
            Err(failure) => self.fail(probe.at, failure),
            Ok(reading) => self.answer(probe.at, probe.ended, reading),
        }
    }

    fn fail(&mut self, at: Timestamp, failure: ProbeFailure) {
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
        self.failing_since.get_or_insert(at);
        self.failure = Some(failure);
        if self.standing() == Standing::Lost {
            self.trouble();
        }
    }

    fn answer(&mut self, at: Timestamp, ended: Timestamp, reading: Reading) {
        self.failures = 0;
        self.failing_since = None;
        self.successes = self.successes.saturating_add(1);
        self.answered = Some(ended);
        if let Some(content) = &reading.content {
            self.content = Some((at, content.clone()));
        }
        match &reading.facts {
            Ok(facts) if health::is_sick(facts) => self.trouble(),
            Ok(facts) => {
                self.recovering = self.recovering.map(|good| good.saturating_add(1));
                let provable = health::has_proof(facts.kind());
                let took = reading.proof_took;
                self.prove(&reading.proof, provable, earlier(ended, took));
            }
            Err(WrongKind) => self.trouble(),
        }
        if reading.proof != BackendProof::NotTried {
            self.proof = Some((ended, reading.proof.clone()));
        }
        self.reading = Some((at, reading));
    }

    fn prove(&mut self, proof: &BackendProof, provable: bool, began: Timestamp) {
        match proof {
            BackendProof::Late => {
                let first = self.late.map_or(began, |late| late.first);
                self.late = Some(Late { first, last: began });
            }
            BackendProof::Refused(_) => self.trouble(),
            BackendProof::Held => self.prove_now(),
            BackendProof::NotTried if !provable => self.prove_now(),
            BackendProof::NotTried => {}
        }
    }

    fn prove_now(&mut self) {
        self.late = None;
        if self.recovering.is_none_or(|good| good >= GOOD_AGAIN) {
            self.proven = true;
            self.recovering = None;
        }
    }

    fn trouble(&mut self) {
        self.proven = false;
        self.late = None;
        self.recovering = Some(0);
    }

    /// How it stands now.
    pub(crate) fn standing(&self) -> Standing {
        match &self.failure {
            Some(failure) if self.failures > 0 => {
                if self.failures >= LOST_AFTER
                    || self.reading.is_none()
                    || speaks_for_itself(failure)
                {
                    Standing::Lost
                } else {
                    Standing::Suspect
                }
            }
            _ if self.attempted.is_none() => Standing::NotProbed,
            _ => Standing::Answering,
        }
    }

    /// The failure of the last probe, if it failed.
    pub(crate) fn failure(&self) -> Option<&ProbeFailure> {
        self.failure.as_ref().filter(|_| self.failures > 0)
    }

    /// The facts of the last full answer.
    pub(crate) fn facts(&self) -> Option<&BackendFacts> {
        self.reading.as_ref()?.1.facts.as_ref().ok()
    }

    /// As policies see it.
    pub(crate) fn view(&self, now: Timestamp) -> ProbeView {
        let round_trip = self.reading.as_ref().map(|(_, reading)| reading.round_trip);
        ProbeView {
            state: match self.standing() {
                Standing::NotProbed => Reach::NotProbed,
                Standing::Answering => Reach::Answering,
                Standing::Suspect | Standing::Lost => Reach::Silent,
            },
            failure: self
                .failure
                .as_ref()
                .map(|failure| failure.word().to_owned()),
            error_number: self
                .failure
                .as_ref()
                .and_then(ProbeFailure::error_number)
                .map(u32::from),
            answered_age: self.answered.map(|at| ms(now.since(at))),
            attempt_age: self.attempted.map(|at| ms(now.since(at))),
            failures: self.failures,
            successes: self.successes,
            round_trip_us: round_trip
                .map(|took| u32::try_from(took.as_micros()).unwrap_or(u32::MAX)),
        }
    }
}

/// A failure after which no second look is needed: nobody listens, or the server says that it ends.
pub(crate) fn speaks_for_itself(failure: &ProbeFailure) -> bool {
    matches!(failure, ProbeFailure::Refused | ProbeFailure::ShuttingDown)
}

/// A failure that only silence can be the reason of.
pub(crate) fn is_silence(failure: &ProbeFailure) -> bool {
    match failure {
        ProbeFailure::Timeout(
            TimeoutPhase::Connect | TimeoutPhase::Handshake | TimeoutPhase::Statement,
        )
        | ProbeFailure::NoRoute
        | ProbeFailure::Dns
        | ProbeFailure::Reset => true,
        ProbeFailure::Refused
        | ProbeFailure::Tls
        | ProbeFailure::Authentication { .. }
        | ProbeFailure::TooManyConnections
        | ProbeFailure::HostBlocked
        | ProbeFailure::ShuttingDown
        | ProbeFailure::NotMysql
        | ProbeFailure::Statement { .. }
        | ProbeFailure::ReceiverWaitsForSpace
        | ProbeFailure::Other(_) => false,
    }
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
    Timestamp::from_micros(at.micros().saturating_sub(by))
}

/// Milliseconds, saturating.
pub(crate) fn ms(duration: Duration) -> Ms {
    Ms::try_from(duration.as_millis()).unwrap_or(Ms::MAX)
}
