//! One task per node, so that a silent node never delays another.
//!
//! The pause between two probes happens on the server (`SELECT SLEEP`), in front of the question:
//! the session always has a read outstanding, and the end of the server's process is noticed within
//! milliseconds. That is harmless on every kind: the statement touches no table, holds no lock,
//! waits for no cluster, and is allowed on a node without quorum.

use std::sync::Arc;
use std::time::Duration;

use baton_core::model::{ProbeFailure, TimeoutPhase};
use baton_core::policy::backend::BackendKind;
use baton_core::time::Timestamp;
use baton_mysql::{ProbeSession, Settings};
use baton_ports::Clock;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::facts::Facts;
use crate::health;
use crate::progress::{Probe, Reading, WrongKind};
use crate::proof::{self, Content, Proof};
use crate::questions::{self, Wording};
use crate::spec::{NodeSpec, Timing};

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
    pub(crate) spec: NodeSpec,
    pub(crate) kind: BackendKind,
    pub(crate) timing: Timing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) found: mpsc::Sender<(usize, Probe)>,
    pub(crate) pace: watch::Receiver<Pace>,
    pub(crate) wake: Arc<Notify>,
}

/// Watches one node until nobody listens any more.
pub(crate) struct Watcher {
    given: Assignment,
    settings: Settings,
    open: Option<Open>,
    /// The address has spoken the protocol.
    known: bool,
    wording: Wording,
}

struct Open {
    session: ProbeSession,
    since: Instant,
    /// Nothing has been read yet: the first reading comes without a pause.
    fresh: bool,
    /// Galera and Group Replication: reads of this session wait for the cluster at the moment.
    framed: bool,
}

impl Watcher {
    pub(crate) fn new(given: Assignment) -> Self {
        let account = &given.spec.url.account;
        let mut settings = Settings::new(account.user.clone(), "");
        settings.account = account.clone();
        settings.connect_timeout = given.timing.connect;
        settings.handshake_timeout = given.timing.connect;
        Self {
            given,
            settings,
            open: None,
            known: false,
            wording: Wording::default(),
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
        let (at, took, facts) = tokio::select! {
            read = self.facts(&mut open, pause) => read?,
            () = wake.notified(), if !pause.is_zero() => {
                open = self.connect().await?;
                self.facts(&mut open, Duration::ZERO).await?
            }
        };
        open.fresh = false;
        let asked = self.given.clock.now();
        let (proof, content, reusable) = self.prove(&mut open, facts.as_ref().ok()).await?;
        if reusable {
            self.open = Some(open);
        }
        let reading = Reading {
            facts,
            proof,
            proof_took: self.given.clock.now().since(asked),
            content,
            round_trip: took,
        };
        Ok((at, reading))
    }

    fn pause(&self) -> Duration {
        let interval = self.given.timing.interval;
        match *self.given.pace.borrow() {
            Pace::Urgent => URGENT.min(interval),
            Pace::Steady => interval.mul_f64(0.9 + 0.2 * rand::random::<f64>()),
        }
    }

    async fn connect(&mut self) -> Result<Open, ProbeFailure> {
        let address = &self.given.spec.url.address;
        let limit = self.given.timing.connect * 2;
        let opened = ProbeSession::open(&self.settings, address, self.known, limit).await;
        self.known |= match &opened {
            Ok(_) => true,
            Err(failure) => failure.error_number().is_some(),
        };
        Ok(Open {
            session: opened?,
            since: Instant::now(),
            fresh: true,
            framed: false,
        })
    }

    /// The facts, after a pause on the server: when evaluated, how long it took, what they are.
    async fn facts(
        &mut self,
        open: &mut Open,
        pause: Duration,
    ) -> Result<(Timestamp, Duration, Result<Facts, WrongKind>), ProbeFailure> {
        let (clock, kind, limit) = (
            self.given.clock.clone(),
            self.given.kind,
            self.given.timing.read,
        );
        let sent = clock.now();
        let Some(sql) = questions::question(kind, self.wording, pause) else {
            if open.fresh && self.is_cluster_member(open).await? {
                return Ok((sent, clock.now().since(sent), Err(WrongKind)));
            }
            let answer = open.session.server(clock.as_ref(), pause, limit).await?;
            return Ok((
                answer.began,
                answer.round_trip,
                Ok(Facts::Pair(Box::new(answer.facts))),
            ));
        };
        let mut tables = open.session.tables(&sql, pause + limit).await;
        if kind == BackendKind::Galera && tables.as_ref().is_err_and(questions::is_strange) {
            let other = self.wording.other();
            if let Some(sql) = questions::question(kind, other, Duration::ZERO) {
                tables = open.session.tables(&sql, limit).await;
                self.wording = if tables.is_ok() { other } else { self.wording };
            }
        }
        let took = clock.now().since(sent).saturating_sub(pause);
        match tables.and_then(|tables| questions::answer(kind, &tables)) {
            Ok(facts) => Ok((sent, took, Ok(facts))),
            Err(failure) if questions::is_strange(&failure) => Ok((sent, took, Err(WrongKind))),
            Err(failure) => Err(failure),
        }
    }

    /// What is said to be one of a pair belongs to a cluster of another kind.
    async fn is_cluster_member(&self, open: &mut Open) -> Result<bool, ProbeFailure> {
        let tables = open
            .session
            .tables(questions::MEMBERSHIP, self.given.timing.read)
            .await?;
        Ok(tables.first().is_some_and(questions::is_cluster_member))
    }

    /// The proof and what the tables say, and whether the session can be used on.
    async fn prove(
        &mut self,
        open: &mut Open,
        facts: Option<&Facts>,
    ) -> Result<(Proof, Option<Content>, bool), ProbeFailure> {
        let Some(facts) = facts.filter(|facts| health::can_be_read(facts)) else {
            return Ok((Proof::NotTried, None, true));
        };
        let read = proof::read(&self.given.spec.url.database);
        let sql = match proof::frame(facts.kind()) {
            Some((before, after)) => {
                open.framed = true;
                format!("{before}; {read}; {after}")
            }
            None => read,
        };
        let proves = health::has_proof(facts.kind());
        let held = if proves { Proof::Held } else { Proof::NotTried };
        match self.given_tables(open, &sql).await {
            Ok(content) => {
                open.framed = false;
                Ok((held, content, true))
            }
            Err(ProbeFailure::Timeout(TimeoutPhase::Statement)) if proves => {
                Ok((Proof::Late, None, false))
            }
            Err(failure @ ProbeFailure::Timeout(_)) => Err(failure),
            Err(failure) => match (proof::absence(&failure), failure.error_number()) {
                (Some(content), _) => {
                    self.without_tables(open, facts.kind(), (held, content))
                        .await
                }
                (None, Some(number)) if proves => Ok((Proof::Refused(number), None, false)),
                (None, _) => Err(failure),
            },
        }
    }

    async fn given_tables(
        &self,
        open: &mut Open,
        sql: &str,
    ) -> Result<Option<Content>, ProbeFailure> {
        let tables = open.session.tables(sql, self.given.timing.read).await?;
        Ok(tables.iter().find_map(proof::content))
    }

    /// There is nothing to read yet.
    async fn without_tables(
        &self,
        open: &mut Open,
        kind: BackendKind,
        (held, content): (Proof, Content),
    ) -> Result<(Proof, Option<Content>, bool), ProbeFailure> {
        let limit = self.given.timing.read;
        let mut content = content;
        if !content.no_database && !content.denied {
            // MariaDB complains about the table even if the whole database is missing.
            let sql = proof::find_database(&self.given.spec.url.database);
            let tables = open.session.tables(&sql, limit).await?;
            content.no_database = tables.first().is_some_and(|table| table.first().is_none());
        }
        if kind != BackendKind::Ndb {
            // The statement that ends the frame was not reached.
            return Ok((held, Some(content), !open.framed));
        }
        let proof = match open.session.tables(proof::NDB_WITHOUT_TABLES, limit).await {
            Err(ProbeFailure::Timeout(_)) => return Ok((Proof::Late, None, false)),
            Err(ProbeFailure::Statement { number }) if !proof::is_about_rights(number) => {
                Proof::Refused(number)
            }
            // Not every account may read ndbinfo: then the facts have to do until the tables exist.
            Ok(_) | Err(ProbeFailure::Statement { .. } | ProbeFailure::Authentication { .. }) => {
                held
            }
            Err(failure) => return Err(failure),
        };
        Ok((proof, Some(content), true))
    }
}
