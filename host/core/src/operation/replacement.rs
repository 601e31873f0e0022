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
use super::undo::{self, Undo, answers};
use super::{LeftOpen, Order, View, ranking, resumed};
use crate::ids::ServerId;
use crate::model::{RecoveryKind, RecoveryOutcome, Snapshot, Topology};
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

    pub(super) fn advance(
        &mut self,
        order: &Order,
        view: &View<'_>,
        event: Event,
        notes: &mut Vec<Note>,
    ) -> Next {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let (state, next) = match (state, event) {
            (State::New, Event::Begun) => self.begin(order, view, notes),
            (State::Securing(plan), Event::Ran(PlanEnd::Completed { .. })) => {
                self.undone = Some(plan);
                self.choose(order, view, notes)
            }
            (State::Securing(_), Event::Ran(_)) => self.undo(order, view, notes),
            (State::Ranking, Event::Ranked(ranked)) => self.promote(order, view, ranked, notes),
            (State::Promoting { successor }, Event::Ran(end)) => {
                self.judge(order, view, (successor, end), notes)
            }
            (State::Asking { successor, until }, Event::Read(reading)) => {
                self.heard(order, view, (successor, until, reading), notes)
            }
            (State::Asking { successor, until }, Event::Woke) => ask(successor, until),
            (State::Finishing, Event::Ran(end)) => {
                if !matches!(end, PlanEnd::Completed { .. }) {
                    let text = "siblings could not all be brought along";
                    notes.push(Note::Problem(text.to_owned()));
                }
                (State::Ended, Next::succeeded())
            }
            (State::HandingOver { successor }, Event::Ran(_)) => {
                let outcome = RecoveryOutcome::Succeeded;
                let replace = Some(successor);
                (State::Ended, Next::End(End { outcome, replace }))
            }
            (State::Undoing(undo), Event::Ran(end)) => {
                let next = undo.after(order, view, &end);
                (State::Undoing(undo), next)
            }
            (State::Undoing(mut undo), Event::Woke) => {
                let next = undo.attempt(order, view);
                (State::Undoing(undo), next)
            }
            (_, _) => (State::Ended, Next::failed()),
        };
        self.state = state;
        next
    }

    fn begin(&mut self, order: &Order, view: &View<'_>, notes: &mut Vec<Note>) -> Move {
        let Some(left) = self.left.clone() else {
            return self.begin_anew(order, view, notes);
        };
        if let Some(successor) = resumed::writable_successor(order, &left, view.snapshot) {
            return self.finish(order, view, successor, notes);
        }
        // Sent, and not seen: the successor may take writes where nobody sees it. Without one it
        // was the old primary that was to be opened.
        if let Some(sent) = left.successor.filter(|_| left.committed) {
            let until = asked_until(order, view);
            return ask(sent, until);
        }
        self.go_on(order, view, notes)
    }

    /// Nobody was opened by the process that began.
    fn go_on(&mut self, order: &Order, view: &View<'_>, notes: &mut Vec<Note>) -> Move {
        let committed = self.left.take().is_some_and(|left| left.committed);
        if order.kind == RecoveryKind::Switchover {
            notes.extend([Note::NotCommitted, Note::Successor(None)]);
            return self.undo(order, view, notes);
        }
        if !committed && answers(view.snapshot, &order.subject) {
            // It came back before anybody was promoted: it is the primary still.
            return self.undo(order, view, notes);
        }
        // Begun again from the top; every step is idempotent.
        notes.push(Note::NotCommitted);
        self.begin_anew(order, view, notes)
    }

    fn begin_anew(&mut self, order: &Order, view: &View<'_>, notes: &mut Vec<Note>) -> Move {
        if order.kind == RecoveryKind::Switchover {
            return match &order.requested {
                Some(requested) => self.switch_to(order, view, requested.clone(), notes),
                None => self.rank(order, view, None, notes),
            };
        }
        let request = SecureRequest {
            kind: order.kind,
            failed: order.subject.clone(),
            epoch: order.epoch,
            first_step: view.next_step,
        };
        match plan_secure(view.snapshot, &request, view.settings) {
            Ok(plan) => (State::Securing(plan.clone()), Next::Run(plan)),
            Err(blocked) => {
                notes.push(Note::Problem(blocked.to_string()));
                self.undo(order, view, notes)
            }
        }
    }

    /// The next successor of a failover, of those who were read after receivers were stopped.
    fn choose(&mut self, order: &Order, view: &View<'_>, notes: &mut Vec<Note>) -> Move {
        let read_after = self.undone.as_ref().and_then(|plan| plan.revoked_after);
        self.rank(order, view, read_after, notes)
    }

    fn rank(
        &mut self,
        order: &Order,
        view: &View<'_>,
        read_after: Option<Timestamp>,
        notes: &mut Vec<Note>,
    ) -> Move {
        let list = self.candidates(order, view.snapshot, read_after);
        if list.iter().any(Candidate::is_allowed) {
            return (State::Ranking, Next::Rank(list));
        }
        self.promote(order, view, Ranked::default(), notes)
    }

    fn candidates(
        &self,
        order: &Order,
        snapshot: &Snapshot,
        read_after: Option<Timestamp>,
    ) -> Vec<Candidate> {
        let mut list = candidates(snapshot, &order.subject, read_after);
        list.retain(|candidate| !self.tried.contains(&candidate.server));
        list
    }

    fn promote(
        &mut self,
        order: &Order,
        view: &View<'_>,
        ranked: Ranked,
        notes: &mut Vec<Note>,
    ) -> Move {
        let read_after = self.undone.as_ref().and_then(|plan| plan.revoked_after);
        let list = self.candidates(order, view.snapshot, read_after);
        let ranking = ranking::order(order, &ranked, &list, notes);
        if order.kind == RecoveryKind::Switchover {
            return self.switch_to_first(order, view, ranking, notes);
        }
        let election = Election {
            kind: order.kind,
            replaced: &order.subject,
            order: &ranking,
            list: &list,
            snapshot: view.snapshot,
            revoked_after: read_after,
            requested: order.requested.as_ref(),
            consent: order.consent.as_ref(),
        };
        let choice = election.choose();
        let (choice, secured) = match (choice, &self.undone) {
            (Ok(choice), Some(secured)) => (choice, secured),
            (Ok(_), None) => return (State::Ended, Next::failed()),
            (Err(blocked), _) => {
                notes.push(Note::Problem(blocked.to_string()));
                return self.undo(order, view, notes);
            }
        };
        self.lost = note_choice(view.snapshot, &list, &choice, notes);
        let (settings, first) = (view.settings, view.next_step);
        let plan = plan_promote(view.snapshot, secured, &choice, settings, first);
        let successor = choice.successor;
        (State::Promoting { successor }, Next::Run(plan))
    }

    fn switch_to_first(
        &mut self,
        order: &Order,
        view: &View<'_>,
        ranking: Vec<ServerId>,
        notes: &mut Vec<Note>,
    ) -> Move {
        let mut refused = Vec::new();
        for successor in ranking {
            match plan_switch(order, view, &successor) {
                Ok(plan) => return self.switch(successor, plan, notes),
                Err(blocked) => refused.push(Note::Problem(blocked.to_string())),
            }
        }
        // Whoever is ranked first says why: nothing else is as close.
        notes.extend(refused);
        let text = "no replica may take over";
        notes.push(Note::Problem(text.to_owned()));
        (State::Ended, Next::failed())
    }

    fn switch_to(
        &mut self,
        order: &Order,
        view: &View<'_>,
        successor: ServerId,
        notes: &mut Vec<Note>,
    ) -> Move {
        match plan_switch(order, view, &successor) {
            Ok(plan) => self.switch(successor, plan, notes),
            Err(blocked) => {
                let successor = Some(successor);
                notes.push(Note::Successor(successor));
                notes.push(Note::Problem(blocked.to_string()));
                (State::Ended, Next::failed())
            }
        }
    }

    fn switch(&mut self, successor: ServerId, plan: Plan, notes: &mut Vec<Note>) -> Move {
        notes.push(Note::Successor(Some(successor.clone())));
        self.undone = Some(plan.clone());
        (State::Promoting { successor }, Next::Run(plan))
    }

    /// What a promotion came to.
    fn judge(
        &mut self,
        order: &Order,
        view: &View<'_>,
        (successor, end): (ServerId, PlanEnd),
        notes: &mut Vec<Note>,
    ) -> Move {
        match end {
            PlanEnd::Completed { tolerated } => {
                if tolerated {
                    self.lose_who_stayed(order, view.snapshot, &successor, notes);
                }
                (State::Ended, Next::succeeded())
            }
            PlanEnd::Stopped { .. } if !view.has_lease => (State::Ended, Next::failed()),
            PlanEnd::Stopped { undrained, .. } => {
                // Who cannot hand on what it has would keep the next one waiting as long.
                let in_vain = undrained.unwrap_or(successor);
                self.not_promoted(order, view, in_vain, notes)
            }
            PlanEnd::PerhapsOpen => ask(successor, asked_until(order, view)),
        }
    }

    /// The successor was lost on the way. Nobody is writable that we know of: the next one is
    /// tried, and what the lost one may have done is found when it returns, for it is not the
    /// primary then.
    fn not_promoted(
        &mut self,
        order: &Order,
        view: &View<'_>,
        in_vain: ServerId,
        notes: &mut Vec<Note>,
    ) -> Move {
        notes.push(Note::NotCommitted);
        if order.kind == RecoveryKind::Switchover {
            notes.push(Note::Successor(None));
            return self.undo(order, view, notes);
        }
        self.tried.insert(in_vain);
        self.tries += 1;
        if self.tries < TRIES {
            return self.choose(order, view, notes);
        }
        let text = format!("no successor could be promoted in {TRIES} tries");
        notes.push(Note::Problem(text));
        self.undo(order, view, notes)
    }

    /// The step that opens writes was sent, and its outcome is not known: what the successor says
    /// decides.
    fn heard(
        &mut self,
        order: &Order,
        view: &View<'_>,
        (successor, until, reading): (ServerId, Timestamp, Reading),
        notes: &mut Vec<Note>,
    ) -> Move {
        let answered = matches!(reading, Reading::Answered { .. });
        if !answered && view.has_lease && view.now() < until {
            return (State::Asking { successor, until }, Next::Wait(PAUSE));
        }
        match reading {
            Reading::Answered { writable: true } => self.finish(order, view, successor, notes),
            _ if !view.has_lease => (State::Ended, Next::failed()),
            Reading::Answered { writable: false } => self.not_open(order, view, successor, notes),
            Reading::Silent | Reading::Unreachable if is_followed(order, view, &successor) => {
                notes.push(Note::Problem(format!(
                    "{successor} does not answer, and replicas follow it already: it is the primary"
                )));
                self.finish(order, view, successor, notes)
            }
            Reading::Silent if order.kind.replaces_lost_primary() => {
                hand_over(order, view, successor, notes)
            }
            Reading::Silent | Reading::Unreachable => {
                // It may take writes where nobody sees it: the old primary must not, whatever
                // happens next.
                self.maybe_open = true;
                self.not_open(order, view, successor, notes)
            }
        }
    }

    fn not_open(
        &mut self,
        order: &Order,
        view: &View<'_>,
        successor: ServerId,
        notes: &mut Vec<Note>,
    ) -> Move {
        if self.left.is_some() {
            self.go_on(order, view, notes)
        } else {
            self.not_promoted(order, view, successor, notes)
        }
    }

    /// Writes are open on the successor: record it, send clients there, bring the siblings along.
    fn finish(
        &mut self,
        order: &Order,
        view: &View<'_>,
        successor: ServerId,
        notes: &mut Vec<Note>,
    ) -> Move {
        let target = (&order.subject, &successor);
        let (snapshot, settings) = (view.snapshot, view.settings);
        let moved = plan_relocate(snapshot, order.kind, target, order.epoch, settings);
        let moved = moved.map(|plan| plan.steps).unwrap_or_default();
        let steps = finish_steps(snapshot, target, moved, view.next_step, settings);
        let plan = forward_plan(order, snapshot, &successor, steps);
        notes.push(Note::Successor(Some(successor)));
        (State::Finishing, Next::Run(plan))
    }

    /// The journal has the details; what matters to a person is which servers were left behind.
    fn lose_who_stayed(
        &mut self,
        order: &Order,
        snapshot: &Snapshot,
        successor: &ServerId,
        notes: &mut Vec<Note>,
    ) {
        for id in still_below(order, snapshot, successor) {
            if !self.lost.contains(&id) {
                self.lost.push(id);
            }
        }
        notes.push(Note::LeftBehind(self.lost.clone()));
    }

    fn undo(&mut self, order: &Order, view: &View<'_>, notes: &mut Vec<Note>) -> Move {
        let undone = (self.undone.take(), self.maybe_open);
        match undo::begin(order, view, undone, notes) {
            Some(mut undo) => {
                let next = undo.attempt(order, view);
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
fn asked_until(order: &Order, view: &View<'_>) -> Timestamp {
    match order.kind {
        RecoveryKind::Switchover => view.now().plus(ASKED_FOR),
        RecoveryKind::Failover
        | RecoveryKind::CoPrimaryFailover
        | RecoveryKind::IntermediateFailover
        | RecoveryKind::Rejoin
        | RecoveryKind::Reopen => view.now(),
    }
}

/// Whether a failover had come so far that siblings were pointed at the successor, which it does
/// only once that takes writes: what they have acknowledged since, those that are left lack. In a
/// switchover siblings are moved before.
fn is_followed(order: &Order, view: &View<'_>, successor: &ServerId) -> bool {
    let topology = Topology::of(view.snapshot);
    let mut followers = topology.replicas_of(successor).iter();
    // Whoever followed it before had not been stopped by this operation.
    order.kind.replaces_lost_primary() && followers.any(|edge| view.touched.contains(&edge.replica))
}

/// The successor may take writes where nobody sees it, and for whoever replicated from it before it
/// may take them with acknowledgements: it is the primary from now on, and has failed in its turn.
/// Whoever replaces it takes its replicas away, and closes it when it returns.
fn hand_over(order: &Order, view: &View<'_>, successor: ServerId, notes: &mut Vec<Note>) -> Move {
    notes.push(Note::Problem(format!(
        "{successor} may take writes, and does not answer: it is the primary, and is replaced"
    )));
    notes.push(Note::Successor(Some(successor.clone())));
    let steps = record_steps(view.snapshot, &successor, view.next_step, view.settings);
    let plan = forward_plan(order, view.snapshot, &successor, steps);
    (State::HandingOver { successor }, Next::Run(plan))
}

fn forward_plan(
    order: &Order,
    snapshot: &Snapshot,
    successor: &ServerId,
    steps: Vec<Step>,
) -> Plan {
    Plan {
        cluster: snapshot.cluster.id.clone(),
        purpose: Purpose::Recovery(order.kind),
        epoch: order.epoch,
        failed: order.subject.clone(),
        successor: Some(successor.clone()),
        fence_waiver: Some("writes are open on the successor already".to_owned()),
        loss_consented: true,
        revoked_after: None,
        steps,
    }
}

fn plan_switch(order: &Order, view: &View<'_>, successor: &ServerId) -> Result<Plan, Blocked> {
    let request = SwitchoverRequest {
        from: order.subject.clone(),
        to: successor.clone(),
        epoch: order.epoch,
        lag_limit: view.lag_limit,
    };
    plan_switchover(view.snapshot, &request, view.settings)
}

/// What is lost stands in the record, by number, before anybody is opened.
fn note_choice(
    snapshot: &Snapshot,
    list: &[Candidate],
    choice: &Choice,
    notes: &mut Vec<Note>,
) -> Vec<ServerId> {
    let successor = &choice.successor;
    if choice.given_up > 0 {
        notes.push(Note::Problem(format!(
            "{} transactions are given up with {successor}",
            choice.given_up
        )));
    }
    let risked = choice.risked.iter();
    notes.extend(risked.map(|risk| Note::Problem(format!("risked: {}", risk.text))));
    let siblings = list.iter().map(|candidate| &candidate.server);
    let siblings = siblings.filter(|id| *id != successor);
    let (reached, lost): (Vec<&ServerId>, Vec<&ServerId>) =
        siblings.partition(|id| answers(snapshot, id));
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
    notes.push(Note::LeftBehind(lost.clone()));
    notes.push(Note::Line {
        phase: Phase::Choose,
        server: Some(successor.clone()),
        text: format!(
            "{successor} takes over{}; {follow}{away}",
            catch_up.unwrap_or_default(),
        ),
    });
    notes.push(Note::Successor(Some(successor.clone())));
    lost
}

/// Replicas that are still below the server that was replaced.
fn still_below(order: &Order, snapshot: &Snapshot, successor: &ServerId) -> Vec<ServerId> {
    let topology = Topology::of(snapshot);
    let replicas = topology.replicas_of(&order.subject).iter();
    let replicas = replicas.map(|edge| edge.replica.clone());
    replicas.filter(|id| id != successor).collect()
}
