//! Is a finding worth a recovery? The policy says so; the host's own rules say whether it may be
//! asked at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_core::analysis::{Finding, Report};
use baton_core::ids::ServerId;
use baton_core::model::{RecoveryKind, RecoveryOutcome, ServerFacts, Snapshot};
use baton_core::planning::{Reason, assess_question, candidates, loss_objections};
use baton_core::policy::{Suggestion, Verdict};
use baton_core::time::Timestamp;
use baton_ports::RecoveryRecord;

use super::obstacles::host_obstacles;
use super::{ClusterLoop, Order, lost_at, urgency};
use crate::clusters::left_behind;
use crate::clusters::policy::reason;
use crate::locking::lock;
use crate::settings::RejoinMode;

/// Pause after a recovery that could not begin or failed, before the same thing is tried again;
/// twice as long after each further one.
const RETRY: Duration = Duration::from_secs(1);
/// The longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The first and the longest pause after a rejoin that failed. The first is short: a statement that
/// stops replication can hang for a moment, with the cluster's lock. The longest is long: what
/// keeps failing usually needs a person.
const REJOIN_RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// The same while the server may take writes: it is not even fenced, and that cannot wait.
const FENCE_RETRY: Duration = Duration::from_secs(1);

/// What the last round decided, for explanations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judged {
    pub(crate) policy: String,
    /// Reasons the policy gave for its last verdict.
    pub(crate) reasons: Vec<Reason>,
    /// What stops a recovery that a finding asks for.
    pub(crate) obstacles: Vec<Reason>,
    pub(crate) subject: Option<(RecoveryKind, ServerId)>,
    pub(crate) will_wait: bool,
}

/// What a loop remembers between rounds.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The last attempt on each server, if it failed.
    failed: BTreeMap<ServerId, Failed>,
    ask_again: Option<Timestamp>,
    pause_until: Option<Timestamp>,
    /// Recoveries in a row that could not begin.
    not_begun: u32,
    /// Servers that a recovery left behind and that follow again.
    back: BTreeSet<ServerId>,
    /// The last verdict that was logged: only a change is logged.
    last_logged: String,
    /// The last failure of a policy that was logged.
    last_fallback: String,
}

/// Failed attempts on a server since the last success.
#[derive(Clone, Copy, Debug)]
struct Failed {
    kind: RecoveryKind,
    /// When the last one ended.
    at: Timestamp,
    times: u32,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Success,
    Failure,
    /// Failed for a reason that is not the servers' fault.
    Hindered,
}

/// Pause after so many failures.
fn retry(times: u32) -> Duration {
    growing((RETRY, RETRY_MAX), times)
}

fn growing((first, longest): (Duration, Duration), times: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(times.saturating_sub(1));
    first.saturating_mul(doubled).min(longest)
}

impl Memory {
    pub(crate) fn not_begun(&mut self, now: Timestamp) {
        self.not_begun = self.not_begun.saturating_add(1);
        self.pause_until = Some(now.plus(retry(self.not_begun)));
    }

    /// True if a recovery could not begin, or end, a moment ago: nothing is tried again yet.
    pub(crate) fn is_pausing(&self, now: Timestamp) -> bool {
        self.pause_until.is_some_and(|until| until > now)
    }

    /// `no_fault`: another node had the quorum meanwhile, or this process did not run, so a failure
    /// is not the servers' fault.
    pub(crate) fn note_ended(&mut self, row: &RecoveryRecord, no_fault: bool, now: Timestamp) {
        let ending = match (row.outcome, no_fault) {
            (RecoveryOutcome::Succeeded, _) => Ending::Success,
            (_, true) => Ending::Hindered,
            (_, false) => Ending::Failure,
        };
        self.back.retain(|id| !row.lost.contains(id));
        self.note(row.kind, &row.subject, ending, now);
    }

    fn note(&mut self, kind: RecoveryKind, server: &ServerId, ending: Ending, now: Timestamp) {
        self.not_begun = 0;
        match ending {
            Ending::Success => {
                self.failed.remove(server);
            }
            Ending::Hindered => {}
            Ending::Failure => {
                let before = self.failed.get(server);
                let before = before.filter(|failed| failed.kind == kind);
                let times = before.map_or(1, |failed| failed.times.saturating_add(1));
                let failed = Failed {
                    kind,
                    at: now,
                    times,
                };
                self.failed.insert(server.clone(), failed);
            }
        }
    }

    /// When something may be tried again with a server; `writable` if it takes writes.
    fn not_before(&self, server: &ServerId, writable: bool) -> Option<Timestamp> {
        let again = self.failed.get(server).map(|failed| {
            failed.at.plus(match failed.kind {
                RecoveryKind::Rejoin if writable => FENCE_RETRY,
                RecoveryKind::Rejoin => growing(REJOIN_RETRY, failed.times),
                _ => retry(failed.times),
            })
        });
        again.max(self.pause_until)
    }

    /// Time until the policy wants to be asked again.
    pub(crate) fn pause(&self, now: Timestamp) -> Duration {
        self.ask_again
            .map_or(Duration::from_secs(1), |at| at.since(now))
            .max(Duration::from_millis(5))
    }
}

impl ClusterLoop {
    /// The most urgent recovery to begin now, if any.
    pub(crate) async fn decide(&mut self, snapshot: &Snapshot, report: &Report) -> Option<Order> {
        self.settle(&left_behind::back(snapshot, &self.left_behind()));
        let left = left_behind::findings(snapshot, &self.left_behind());
        let mut findings: Vec<&Finding> = report
            .findings
            .iter()
            .filter(|finding| finding.recovery.is_some())
            .chain(&left)
            .collect();
        findings.sort_by_key(|finding| urgency(finding));
        let mut judged = Judged {
            policy: self.policy.describe(),
            ..Judged::default()
        };
        let mut order = None;
        for finding in findings {
            let Some(kind) = finding.recovery else {
                continue;
            };
            judged.subject = Some((kind, finding.server.clone()));
            judged.obstacles = self.obstacles(snapshot, finding, kind);
            if !judged.obstacles.is_empty() {
                continue;
            }
            if let Some(found) = self.ask(snapshot, report, finding, &mut judged).await {
                order = Some(found);
                break;
            }
        }
        *lock(&self.published.judged) = judged;
        order
    }

    fn left_behind(&self) -> BTreeSet<ServerId> {
        let inventory = self.members.registry.latest();
        let entry = inventory.clusters.get(&self.members.cluster);
        let left = entry.map(|entry| entry.left.clone()).unwrap_or_default();
        &left - &self.judge.back
    }

    /// The store is read repeatedly, so a server that follows again is remembered until a later
    /// recovery leaves it behind.
    fn settle(&mut self, back: &[ServerId]) {
        self.judge.back.extend(back.iter().cloned());
    }

    /// What stops a recovery, whatever the policy answers.
    pub(crate) fn obstacles(
        &self,
        snapshot: &Snapshot,
        finding: &Finding,
        kind: RecoveryKind,
    ) -> Vec<Reason> {
        let mut found = host_obstacles(snapshot, finding, kind);
        if kind.replaces_lost_primary() {
            let list = candidates(snapshot, &finding.server, None);
            found.extend(loss_objections(snapshot, &finding.server, &list));
        }
        if snapshot.control.lease.is_some() {
            found.extend(self.quorum.missing(snapshot));
        }
        let settings = &self.members.registry.settings;
        let mut add = |code: &str, text: String| {
            found.push(Reason {
                code: code.to_owned(),
                text,
                about: vec![finding.server.clone()],
            });
        };
        if kind == RecoveryKind::IntermediateFailover && !settings.intermediate {
            add(
                "intermediate-off",
                "recovery of intermediate sources is switched off by configuration".to_owned(),
            );
        }
        if kind == RecoveryKind::Rejoin && settings.rejoin == RejoinMode::Off {
            add(
                "rejoin-off",
                "taking servers back is switched off by configuration".to_owned(),
            );
        }
        let now = snapshot.taken_at;
        let writable = snapshot
            .servers
            .get(&finding.server)
            .and_then(|server| server.last_facts())
            .is_some_and(ServerFacts::is_writable);
        let until = self.judge.not_before(&finding.server, writable);
        if let Some(until) = until.filter(|until| *until > now) {
            let seconds = until.since(now).as_secs() + 1;
            add(
                "retry-later",
                format!("the last attempt failed; the next one may begin in {seconds} s"),
            );
        }
        found
    }

    async fn ask(
        &mut self,
        snapshot: &Snapshot,
        report: &Report,
        finding: &Finding,
        judged: &mut Judged,
    ) -> Option<Order> {
        let kind = finding.recovery?;
        let order = |decision: String| Order {
            kind,
            subject: finding.server.clone(),
            requested: None,
            consent: None,
            automatic: true,
            finding: finding.code.word().to_owned(),
            decision,
            trigger: lost_at(snapshot, &finding.server),
            deadline: None,
        };
        // Fencing a server that came back is a safety rule of the host, not a policy; so is opening
        // the recorded primary, which changes nothing about who the primary is.
        if matches!(kind, RecoveryKind::Rejoin | RecoveryKind::Reopen) {
            let act =
                finding.suggestion == Suggestion::Act && !is_settled(snapshot, &finding.server);
            return act.then(|| order(String::new()));
        }
        let held = self
            .held
            .of(finding.code, &finding.server, snapshot.taken_at);
        let context = self.policy.context(snapshot, "assess");
        let mut asked = assess_question(snapshot, finding, held, context, report.primary.server());
        let doubt = self.add_peer_views(snapshot, (kind, &finding.server), &mut asked);
        let reply = self.policy.assess(&asked.question).await;
        judged.policy.clone_from(&reply.policy);
        judged.reasons = reply
            .answer
            .reasons
            .iter()
            .map(|r| reason(r, &asked.ids))
            .collect();
        if let Some(failure) = &reply.fallback {
            judged.reasons.push(Reason {
                code: "policy-fallback".to_owned(),
                text: format!(
                    "policy {} failed ({}): {}; the default policy answered",
                    failure.policy, failure.kind, failure.text
                ),
                about: Vec::new(),
            });
            self.audit_fallback(snapshot, &failure.policy, &failure.text)
                .await;
        }
        self.judge.ask_again = None;
        self.log_verdict(snapshot, finding, &reply.answer.verdict, judged);
        match reply.answer.verdict {
            // A policy narrows, it never widens: without complete evidence its "act" means "wait".
            Verdict::Act if finding.suggestion == Suggestion::Act && doubt.is_none() => Some(
                order(decision_text(finding, &reply.policy, &judged.reasons)),
            ),
            Verdict::Act => {
                judged.will_wait = true;
                judged.reasons.extend(doubt);
                None
            }
            Verdict::Wait(time) => {
                judged.will_wait = true;
                let pause = Duration::from_millis(u64::from(time));
                self.judge.ask_again = Some(snapshot.taken_at.plus(pause));
                None
            }
            Verdict::Hold => {
                judged.obstacles.clone_from(&judged.reasons);
                None
            }
            Verdict::Ask {
                topic,
                prompt,
                valid_for: _,
            } => {
                judged.obstacles = vec![Reason {
                    code: "ask".to_owned(),
                    text: format!(
                        "the policy asks a person ({topic}): {prompt}; {}",
                        answer_to_ask(kind, &snapshot.cluster.name, &finding.server)
                    ),
                    about: vec![finding.server.clone()],
                }];
                None
            }
        }
    }

    async fn audit_fallback(&mut self, snapshot: &Snapshot, policy: &str, text: &str) {
        let line = format!("{policy} {text}");
        if self.judge.last_fallback == line {
            return;
        }
        self.judge.last_fallback = line;
        tracing::warn!(
            plugin = policy,
            error = text,
            "policy failed, the default answered"
        );
        let record = baton_ports::AuditRecord {
            at: snapshot.wall,
            kind: "policy-fallback".to_owned(),
            server: None,
            cluster: Some(self.members.cluster.clone()),
            by: self.members.registry.settings.node.to_string(),
            text: format!("policy {policy} failed: {text}; the default policy answered"),
        };
        if let Err(error) = self.records.audit(&record).await {
            tracing::warn!(error = error.with_causes(), "audit not written");
        }
    }

    fn log_verdict(
        &mut self,
        snapshot: &Snapshot,
        finding: &Finding,
        verdict: &Verdict,
        judged: &Judged,
    ) {
        let word = match verdict {
            Verdict::Act => "act",
            Verdict::Wait(_) => "wait",
            Verdict::Hold => "hold",
            Verdict::Ask { .. } => "ask",
        };
        let line = format!(
            "{} {} {word} {}",
            finding.code.word(),
            finding.server,
            finding.suggestion.word()
        );
        if self.judge.last_logged != line {
            self.judge.last_logged = line;
            let why: Vec<&str> = judged
                .reasons
                .iter()
                .map(|reason| reason.text.as_str())
                .collect();
            tracing::info!(
                cluster = %snapshot.cluster.name, finding = finding.code.word(), server = %finding.server,
                verdict = word, suggestion = finding.suggestion.word(), reasons = why.join("; "), "assessed"
            );
        }
    }
}

/// Which command answers a policy that asks. No answer means no.
fn answer_to_ask(kind: RecoveryKind, cluster: &str, server: &ServerId) -> String {
    let command = match kind {
        RecoveryKind::Failover | RecoveryKind::CoPrimaryFailover => {
            format!("`baton failover {cluster}` or POST /api/v1/servers/{server}/recover")
        }
        RecoveryKind::Switchover => format!("`baton switchover {cluster}`"),
        RecoveryKind::IntermediateFailover | RecoveryKind::Rejoin | RecoveryKind::Reopen => {
            format!("POST /api/v1/servers/{server}/recover")
        }
    };
    format!("whoever may change this cluster says yes with {command}; nothing is done until then")
}

/// A server that is set aside and cannot take writes needs no further fencing: a person has to look
/// at it.
fn is_settled(snapshot: &Snapshot, server: &ServerId) -> bool {
    snapshot.servers.get(server).is_some_and(|server| {
        server.quarantined
            && server
                .last_facts()
                .is_some_and(|facts| !facts.is_writable())
    })
}

/// The decision as it is kept with the recovery.
fn decision_text(finding: &Finding, policy: &str, reasons: &[Reason]) -> String {
    let mut text = format!("{} ({policy})", finding.code.word());
    for evidence in &finding.evidence {
        text.push_str("\nevidence: ");
        text.push_str(&evidence.text);
    }
    for reason in reasons {
        text.push_str("\npolicy: ");
        text.push_str(&reason.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_failures_grow_and_end_with_a_success() {
        let pauses: Vec<u64> = (1..=6).map(|times| retry(times).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        let server = ServerId::new("db1:3306");
        let now = Timestamp::from_micros(1);
        let mut memory = Memory::default();
        let mut note = |ending| {
            memory.note(RecoveryKind::Failover, &server, ending, now);
            memory.not_before(&server, false)
        };
        assert_eq!(note(Ending::Hindered), None);
        note(Ending::Failure);
        let pause = note(Ending::Failure);
        assert_eq!(pause, Some(now.plus(Duration::from_secs(2))));
        assert_eq!(note(Ending::Success), None);
        let rejoins: Vec<u64> = (1..=6)
            .map(|times| growing(REJOIN_RETRY, times).as_secs())
            .collect();
        assert_eq!(rejoins, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn a_policy_that_asks_is_answered_by_a_command_that_is_named() {
        let server = ServerId::new("db1:3306");
        let text = answer_to_ask(RecoveryKind::Failover, "shop", &server);
        assert!(text.contains("`baton failover shop`"), "{text}");
        let text = answer_to_ask(RecoveryKind::IntermediateFailover, "shop", &server);
        assert!(
            text.contains("POST /api/v1/servers/db1:3306/recover"),
            "{text}"
        );
    }
}
