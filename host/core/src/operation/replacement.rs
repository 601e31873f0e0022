//! Replacing a primary, dead or alive: choose a successor, open it, bring the others along.
//!
//! ```text
//! failover:   Securing ─► Ranking ─► Promoting ─────────────► end
//! switchover:             Ranking ─► Promoting ─────────────► end
//!                            ▲           │ perhaps open
//!                            │           ▼
//!                            └──────── Asking ─► Finishing ─► end
//!                  not open: the next    │ silent
//!                  one, or Undoing       └─────► HandingOver ► end, and the silent one is replaced
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use super::turn::{End, Event, Next, Note, PlanEnd, Ranked, Reading};
use super::undo::{self, Undo};
use super::{Context, LeftOpen, ranking, resumed};
use crate::ids::ServerId;
use crate::model::{RecoveryKind, RecoveryOutcome, Topology};
use crate::planning::{
    Blocked, Candidate, Choice, Election, Phase, Plan, Purpose, SecureRequest, Step,
    SwitchoverRequest, candidates, finish_steps, plan_promote, plan_relocate, plan_secure,
    plan_switchover, record_steps,
};
use crate::time::Timestamp;

/// How many successors are tried before a failover is given up.
const TRIES: usize = 3;
/// How long the successor of a living primary is asked whether it takes writes, when it was lost at
/// the step that opens them. Long enough for a server that is restarted at once: while its word is
/// missing, nobody can be opened without the danger of two.
const ASKED_FOR: Duration = Duration::from_secs(30);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Clone, Debug)]
pub(super) struct Replacement {
    state: State,
    /// What to go on with, if another process began.
    left: Option<LeftOpen>,
    /// The plan that ended the receivers, and later the one that a switchover has to undo.
    undone: Option<Plan>,
    /// Successors that were tried in vain: not tried again in this operation.
    tried: BTreeSet<ServerId>,
    tries: usize,
    /// A successor that does not answer may have been made writable.
    maybe_open: bool,
    /// Servers that are not brought along.
    lost: Vec<ServerId>,
}

#[derive(Clone, Debug)]
enum State {
    New,
    /// Ending what the replicas receive from the old primary.
    Securing(Plan),
    /// The policy ranks.
    Ranking,
    /// The successor is made the primary.
    Promoting {
        successor: ServerId,
    },
    /// Whether the step that opens writes took effect is asked of the successor.
    Asking {
        successor: ServerId,
        until: Timestamp,
    },
    /// Writes are open: it is recorded, clients are sent there, the others follow.
    Finishing,
    /// The successor may take writes and does not answer: it is recorded as the primary.
    HandingOver {
        successor: ServerId,
    },
    Undoing(Undo),
    Ended,
}

/// What an event leads to: the next state, and what is to be done.
type Move = (State, Next);

impl Replacement {
    pub(super) fn new() -> Self {
        Self {
            state: State::New,
            left: None,
            undone: None,
            tried: BTreeSet::new(),
            tries: 0,
            maybe_open: false,
            lost: Vec::new(),
        }
    }

    pub(super) fn resume(&mut self, left: LeftOpen) {
        self.left = Some(left);
    }

    pub(super) fn advance(&mut self, cx: &mut Context<'_>, event: Event) -> Next {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let (state, next) = match (state, event) {
            (State::New, Event::Begun) => self.begin(cx),
            (State::Securing(plan), Event::Ran(PlanEnd::Completed { .. })) => {
                self.undone = Some(plan);
                self.rank(cx)
            }
            (State::Securing(_), Event::Ran(_)) => self.undo(cx),
            (State::Ranking, Event::Ranked(ranked)) => self.promote(cx, ranked),
            (State::Promoting { successor }, Event::Ran(end)) => self.judge(cx, (successor, end)),
            (State::Asking { successor, until }, Event::Read(reading)) => {
                self.heard(cx, (successor, until, reading))
            }
            (State::Asking { successor, until }, Event::Woke) => ask(successor, until),
            (State::Finishing, Event::Ran(end)) => {
                if !matches!(end, PlanEnd::Completed { .. }) {
                    cx.problem("siblings could not all be brought along");
                }
                (State::Ended, Next::succeeded())
            }
            (State::HandingOver { successor }, Event::Ran(_)) => {
                let outcome = RecoveryOutcome::Succeeded;
                let replace = Some(successor);
                (State::Ended, Next::End(End { outcome, replace }))
            }
            (State::Undoing(undo), Event::Ran(end)) => {
                let next = undo.after(cx, &end);
                (State::Undoing(undo), next)
            }
            (State::Undoing(mut undo), Event::Woke) => {
                let next = undo.attempt(cx);
                (State::Undoing(undo), next)
            }
            (_, _) => (State::Ended, Next::failed()),
        };
        self.state = state;
        next
    }

    fn begin(&mut self, cx: &mut Context<'_>) -> Move {
        let Some(left) = self.left.clone() else {
            return self.begin_anew(cx);
        };
        if let Some(successor) = resumed::writable_successor(cx, &left) {
            return self.finish(cx, successor);
        }
        // Sent, and not seen: the successor may take writes where nobody sees it. Without one it
        // was the old primary that was to be opened.
        if let Some(sent) = left.successor.filter(|_| left.committed) {
            let until = asked_until(cx);
            return ask(sent, until);
        }
        self.go_on(cx)
    }

    /// Nobody was opened by the process that began.
    fn go_on(&mut self, cx: &mut Context<'_>) -> Move {
        let committed = self.left.take().is_some_and(|left| left.committed);
        if cx.order.kind == RecoveryKind::Switchover {
            cx.notes.extend([Note::NotCommitted, Note::Successor(None)]);
            return self.undo(cx);
        }
        if !committed && cx.view.snapshot.answers(&cx.order.subject) {
            // It came back before anybody was promoted: it is the primary still.
            return self.undo(cx);
        }
        // Begun again from the top; every step is idempotent.
        cx.notes.push(Note::NotCommitted);
        self.begin_anew(cx)
    }

    fn begin_anew(&mut self, cx: &mut Context<'_>) -> Move {
        if cx.order.kind == RecoveryKind::Switchover {
            return match &cx.order.requested {
                Some(requested) => self.switch_to(cx, requested.clone()),
                None => self.rank(cx),
            };
        }
        let request = SecureRequest {
            kind: cx.order.kind,
            subject: cx.order.subject.clone(),
            epoch: cx.order.epoch,
            first_step: cx.view.next_step,
        };
        match plan_secure(cx.view.snapshot, &request, cx.view.settings) {
            Ok(plan) => (State::Securing(plan.clone()), Next::Run(plan)),
            Err(blocked) => {
                cx.problem(blocked.to_string());
                self.undo(cx)
            }
        }
    }

    fn rank(&mut self, cx: &mut Context<'_>) -> Move {
        let list = self.candidates(cx);
        if list.iter().any(Candidate::is_allowed) {
            return (State::Ranking, Next::Rank(list));
        }
        self.promote(cx, Ranked::default())
    }

    /// In a failover, who was read after receivers were stopped.
    fn candidates(&self, cx: &Context<'_>) -> Vec<Candidate> {
        let mut list = candidates(cx.view.snapshot, &cx.order.subject, self.read_after());
        list.retain(|candidate| !self.tried.contains(&candidate.server));
        list
    }

    fn read_after(&self) -> Option<Timestamp> {
        self.undone.as_ref()?.revoked_after
    }

    fn promote(&mut self, cx: &mut Context<'_>, ranked: Ranked) -> Move {
        let list = self.candidates(cx);
        let ranking = ranking::order(cx, &ranked, &list);
        if cx.order.kind == RecoveryKind::Switchover {
            return self.switch_to_first(cx, ranking);
        }
        let election = Election {
            kind: cx.order.kind,
            replaced: &cx.order.subject,
            order: &ranking,
            list: &list,
            snapshot: cx.view.snapshot,
            revoked_after: self.read_after(),
            requested: cx.order.requested.as_ref(),
            consent: cx.order.consent.as_ref(),
        };
        let choice = election.choose();
        let (choice, secured) = match (choice, &self.undone) {
            (Ok(choice), Some(secured)) => (choice, secured),
            (Ok(_), None) => return (State::Ended, Next::failed()),
            (Err(blocked), _) => {
                cx.problem(blocked.to_string());
                return self.undo(cx);
            }
        };
        self.lost = note_choice(cx, &list, &choice);
        let (settings, first) = (cx.view.settings, cx.view.next_step);
        let plan = plan_promote(cx.view.snapshot, secured, &choice, settings, first);
        let successor = choice.successor;
        (State::Promoting { successor }, Next::Run(plan))
    }

    fn switch_to_first(&mut self, cx: &mut Context<'_>, ranking: Vec<ServerId>) -> Move {
        let mut refused = Vec::new();
        for successor in ranking {
            match plan_switch(cx, &successor) {
                Ok(plan) => return self.switch(cx, successor, plan),
                Err(blocked) => refused.push(Note::Problem(blocked.to_string())),
            }
        }
        // Nobody may: each is named with its reasons, in the policy's order.
        cx.notes.extend(refused);
        cx.problem("no replica may take over");
        (State::Ended, Next::failed())
    }

    fn switch_to(&mut self, cx: &mut Context<'_>, successor: ServerId) -> Move {
        match plan_switch(cx, &successor) {
            Ok(plan) => self.switch(cx, successor, plan),
            Err(blocked) => {
                let successor = Some(successor);
                cx.notes.push(Note::Successor(successor));
                cx.problem(blocked.to_string());
                (State::Ended, Next::failed())
            }
        }
    }

    fn switch(&mut self, cx: &mut Context<'_>, successor: ServerId, plan: Plan) -> Move {
        cx.notes.push(Note::Successor(Some(successor.clone())));
        self.undone = Some(plan.clone());
        (State::Promoting { successor }, Next::Run(plan))
    }

    /// What a promotion came to.
    fn judge(&mut self, cx: &mut Context<'_>, (successor, end): (ServerId, PlanEnd)) -> Move {
        match end {
            PlanEnd::Completed { tolerated } => {
                if tolerated {
                    self.lose_who_stayed(cx, &successor);
                }
                (State::Ended, Next::succeeded())
            }
            PlanEnd::Stopped { .. } if !cx.view.has_lease => (State::Ended, Next::failed()),
            PlanEnd::Stopped { undrained, .. } => {
                // Who cannot hand on what it has would keep the next one waiting as long.
                let in_vain = undrained.unwrap_or(successor);
                self.not_promoted(cx, in_vain)
            }
            PlanEnd::PerhapsOpen => ask(successor, asked_until(cx)),
        }
    }

    /// The successor was lost on the way. Nobody is writable that we know of: the next one is
    /// tried, and what the lost one may have done is found when it returns, for it is not the
    /// primary then.
    fn not_promoted(&mut self, cx: &mut Context<'_>, in_vain: ServerId) -> Move {
        cx.notes.push(Note::NotCommitted);
        if cx.order.kind == RecoveryKind::Switchover {
            cx.notes.push(Note::Successor(None));
            return self.undo(cx);
        }
        self.tried.insert(in_vain);
        self.tries += 1;
        if self.tries < TRIES {
            return self.rank(cx);
        }
        let text = format!("no successor could be promoted in {TRIES} tries");
        cx.problem(text);
        self.undo(cx)
    }

    /// The step that opens writes was sent, and its outcome is not known: what the successor says
    /// decides.
    fn heard(
        &mut self,
        cx: &mut Context<'_>,
        (successor, until, reading): (ServerId, Timestamp, Reading),
    ) -> Move {
        let answered = matches!(reading, Reading::Answered { .. });
        if !answered && cx.view.has_lease && cx.view.now() < until {
            return (State::Asking { successor, until }, Next::Wait(PAUSE));
        }
        match reading {
            Reading::Answered { writable: true } => self.finish(cx, successor),
            _ if !cx.view.has_lease => (State::Ended, Next::failed()),
            Reading::Answered { writable: false } => self.not_open(cx, successor),
            Reading::Silent | Reading::Unreachable if is_followed(cx, &successor) => {
                cx.problem(format!(
                    "{successor} does not answer, and replicas follow it already: it is the primary"
                ));
                self.finish(cx, successor)
            }
            Reading::Silent if cx.order.kind.replaces_lost_primary() => hand_over(cx, successor),
            Reading::Silent | Reading::Unreachable => {
                // It may take writes where nobody sees it: the old primary must not, whatever
                // happens next.
                self.maybe_open = true;
                self.not_open(cx, successor)
            }
        }
    }

    fn not_open(&mut self, cx: &mut Context<'_>, successor: ServerId) -> Move {
        if self.left.is_some() {
            self.go_on(cx)
        } else {
            self.not_promoted(cx, successor)
        }
    }

    /// Writes are open on the successor: record it, send clients there, bring the siblings along.
    fn finish(&mut self, cx: &mut Context<'_>, successor: ServerId) -> Move {
        let target = (&cx.order.subject, &successor);
        let (snapshot, settings) = (cx.view.snapshot, cx.view.settings);
        let moved = plan_relocate(snapshot, cx.order.kind, target, cx.order.epoch, settings);
        let moved = moved.map(|plan| plan.steps).unwrap_or_default();
        let steps = finish_steps(snapshot, target, moved, cx.view.next_step, settings);
        let plan = forward_plan(cx, &successor, steps);
        cx.notes.push(Note::Successor(Some(successor)));
        (State::Finishing, Next::Run(plan))
    }

    /// The journal has the details; what matters to a person is which servers were left behind.
    fn lose_who_stayed(&mut self, cx: &mut Context<'_>, successor: &ServerId) {
        for id in still_below(cx, successor) {
            if !self.lost.contains(&id) {
                self.lost.push(id);
            }
        }
        cx.notes.push(Note::LeftBehind(self.lost.clone()));
    }

    fn undo(&mut self, cx: &mut Context<'_>) -> Move {
        let undone = (self.undone.take(), self.maybe_open);
        match undo::begin(cx, undone) {
            Some(mut undo) => {
                let next = undo.attempt(cx);
                (State::Undoing(undo), next)
            }
            None => (State::Ended, Next::failed()),
        }
    }
}

fn ask(successor: ServerId, until: Timestamp) -> Move {
    let server = successor.clone();
    let limit = ANSWER;
    (
        State::Asking { successor, until },
        Next::Read { server, limit },
    )
}

/// In a failover another replica may be promoted at once; in a switchover nothing but the
/// successor's word lets the old primary take writes again, so it is waited for.
fn asked_until(cx: &Context<'_>) -> Timestamp {
    match cx.order.kind {
        RecoveryKind::Switchover => cx.view.now().plus(ASKED_FOR),
        RecoveryKind::Failover
        | RecoveryKind::CoPrimaryFailover
        | RecoveryKind::IntermediateFailover
        | RecoveryKind::Rejoin
        | RecoveryKind::Reopen => cx.view.now(),
    }
}

/// Whether a failover had come so far that siblings were pointed at the successor, which it does
/// only once that takes writes: what they have acknowledged since, those that are left lack. In a
/// switchover siblings are moved before.
fn is_followed(cx: &Context<'_>, successor: &ServerId) -> bool {
    let topology = Topology::of(cx.view.snapshot);
    let mut followers = topology.replicas_of(successor).iter();
    // A replica that followed it before was not touched by this operation.
    cx.order.kind.replaces_lost_primary()
        && followers.any(|edge| cx.view.touched.contains(&edge.replica))
}

/// The successor may take writes where nobody sees it, and its own replicas may acknowledge them.
/// So it is recorded as the primary, and replaced as one that failed: the next recovery takes its
/// replicas away, and it is closed when it returns.
fn hand_over(cx: &mut Context<'_>, successor: ServerId) -> Move {
    cx.problem(format!(
        "{successor} may take writes, and does not answer: it is the primary, and is replaced"
    ));
    cx.notes.push(Note::Successor(Some(successor.clone())));
    let steps = record_steps(
        cx.view.snapshot,
        &successor,
        cx.view.next_step,
        cx.view.settings,
    );
    let plan = forward_plan(cx, &successor, steps);
    (State::HandingOver { successor }, Next::Run(plan))
}

fn forward_plan(cx: &Context<'_>, successor: &ServerId, steps: Vec<Step>) -> Plan {
    Plan {
        cluster: cx.view.snapshot.cluster.id.clone(),
        purpose: Purpose::Recovery(cx.order.kind),
        epoch: cx.order.epoch,
        subject: cx.order.subject.clone(),
        successor: Some(successor.clone()),
        fence_waiver: Some("writes are open on the successor already".to_owned()),
        loss_consented: true,
        revoked_after: None,
        steps,
    }
}

fn plan_switch(cx: &Context<'_>, successor: &ServerId) -> Result<Plan, Blocked> {
    let request = SwitchoverRequest {
        from: cx.order.subject.clone(),
        to: successor.clone(),
        epoch: cx.order.epoch,
        lag_limit: cx.view.lag_limit,
    };
    plan_switchover(cx.view.snapshot, &request, cx.view.settings)
}

/// What is lost stands in the record, by number, before anybody is opened.
fn note_choice(cx: &mut Context<'_>, list: &[Candidate], choice: &Choice) -> Vec<ServerId> {
    let successor = &choice.successor;
    if choice.given_up > 0 {
        cx.problem(format!(
            "{} transactions are given up with {successor}",
            choice.given_up
        ));
    }
    let risked = choice.risked.iter();
    cx.notes
        .extend(risked.map(|risk| Note::Problem(format!("risked: {}", risk.text))));
    let siblings = list.iter().map(|candidate| &candidate.server);
    let siblings = siblings.filter(|id| *id != successor);
    let (reached, lost): (Vec<&ServerId>, Vec<&ServerId>) =
        siblings.partition(|id| cx.view.snapshot.answers(id));
    let lost: Vec<ServerId> = lost.into_iter().cloned().collect();
    let catch_up = choice.catch_up_from.as_ref();
    let catch_up = catch_up.map(|from| format!(" after catching up from {from}"));
    let away = if lost.is_empty() {
        String::new()
    } else {
        format!("; not reached: {}", ranking::join(&lost))
    };
    let follow = match reached.len() {
        1 => "1 replica follows".to_owned(),
        many => format!("{many} replicas follow"),
    };
    cx.notes.push(Note::LeftBehind(lost.clone()));
    cx.notes.push(Note::Line {
        phase: Phase::Choose,
        server: Some(successor.clone()),
        text: format!(
            "{successor} takes over{}; {follow}{away}",
            catch_up.unwrap_or_default(),
        ),
    });
    cx.notes.push(Note::Successor(Some(successor.clone())));
    lost
}

/// Replicas that are still below the server that was replaced.
fn still_below(cx: &Context<'_>, successor: &ServerId) -> Vec<ServerId> {
    let topology = Topology::of(cx.view.snapshot);
    let replicas = topology.replicas_of(&cx.order.subject).iter();
    let replicas = replicas.map(|edge| edge.replica.clone());
    replicas.filter(|id| id != successor).collect()
}
