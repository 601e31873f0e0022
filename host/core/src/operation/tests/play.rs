//! Playing an operation.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{RecoveryKind, Snapshot};
use crate::operation::{
    Event, LeftOpen, Next, Note, Operation, Order, PlanEnd, Ranked, Reading, Turn, View,
};
use crate::planning::{Candidate, Plan, PlanSettings};
use crate::sketch;
use crate::time::Timestamp;

pub(super) fn id(name: &str) -> ServerId {
    ServerId::new(name)
}

/// An operation of epoch 7 on `p1` that nobody ordered.
pub(super) fn order(kind: RecoveryKind) -> Order {
    Order {
        kind,
        subject: id("p1"),
        epoch: LeaseEpoch(7),
        automatic: true,
        requested: None,
        consent: None,
    }
}

/// An operation and its transcript so far.
pub(super) struct Play {
    operation: Operation,
    snapshot: Snapshot,
    now: Timestamp,
    settings: PlanSettings,
    next_step: u32,
    pub(super) touched: BTreeSet<ServerId>,
    pub(super) has_lease: bool,
    pub(super) refused_at: Option<Timestamp>,
    last: Option<Next>,
    text: String,
}

impl Play {
    pub(super) fn new(order: Order, sketch: &str) -> Self {
        Self::of(Operation::new(order), BTreeSet::new(), sketch)
    }

    /// One whose journal says that steps on r1 and r2 were sent.
    pub(super) fn resumed(order: Order, left: LeftOpen, sketch: &str) -> Self {
        let touched = ["r1", "r2"].map(id).into();
        Self::of(Operation::resumed(order, left), touched, sketch)
    }

    fn of(operation: Operation, touched: BTreeSet<ServerId>, sketch: &str) -> Self {
        let mut play = Self {
            operation,
            // Servers of a sketch were read 100 ms before its "now".
            now: Timestamp::from_micros(sketch::NOW.micros() - 150_000),
            snapshot: sketch::snapshot(sketch),
            settings: PlanSettings::default(),
            next_step: 1,
            touched,
            has_lease: true,
            refused_at: None,
            last: None,
            text: String::new(),
        };
        play.happens(Event::Begun);
        play
    }

    /// Things look like this from now on; all servers that answer were read since the beginning.
    pub(super) fn look(&mut self, sketch: &str) -> &mut Self {
        self.snapshot = sketch::snapshot(sketch);
        self.now = self.now.max(sketch::NOW);
        self
    }

    pub(super) fn after(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.plus(time);
        self
    }

    pub(super) fn completed(&mut self) -> &mut Self {
        self.happens(Event::Ran(PlanEnd::Completed { tolerated: false }))
    }

    pub(super) fn stopped(&mut self, undrained: Option<&str>) -> &mut Self {
        self.happens(Event::Ran(PlanEnd::Stopped {
            unrecorded: false,
            undrained: undrained.map(id),
        }))
    }

    pub(super) fn perhaps_open(&mut self) -> &mut Self {
        self.happens(Event::Ran(PlanEnd::PerhapsOpen))
    }

    pub(super) fn ranked(&mut self, servers: &[&str]) -> &mut Self {
        let order = servers
            .iter()
            .map(|server| (id(server), vec![format!("{server} is near.")]));
        self.happens(Event::Ranked(Ranked {
            policy: "test".to_owned(),
            order: order.collect(),
            failure: None,
        }))
    }

    pub(super) fn read(&mut self, reading: Reading) -> &mut Self {
        self.happens(Event::Read(reading))
    }

    /// Hands an event in and writes down what follows.
    pub(super) fn happens(&mut self, event: Event) -> &mut Self {
        writeln!(self.text, "{}", told(&event)).unwrap();
        self.snapshot.taken_at = self.now;
        let view = View {
            snapshot: &self.snapshot,
            settings: &self.settings,
            lag_limit: Duration::from_secs(10),
            read_limit: Duration::from_secs(1),
            attaches_by_itself: true,
            has_lease: self.has_lease,
            refused_at: self.refused_at,
            next_step: self.next_step,
            touched: &self.touched,
        };
        let Turn { notes, next } = self.operation.advance(&view, event);
        for note in &notes {
            writeln!(self.text, "    {}", noted(note)).unwrap();
        }
        if let Next::Run(plan) = &next {
            let last = plan.steps.iter().map(|step| step.id).max();
            self.next_step = self.next_step.max(last.unwrap_or(0) + 1);
            let changed = plan.steps.iter().filter(|step| step.action.changes());
            let changed = changed.filter_map(|step| step.action.server().cloned());
            self.touched.extend(changed);
        }
        self.text.push_str(&wanted(&next));
        self.last = Some(next);
        self
    }

    /// What was asked for last.
    pub(super) fn next(&self) -> &Next {
        self.last.as_ref().unwrap()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

fn told(event: &Event) -> String {
    match event {
        Event::Begun => "begun".to_owned(),
        Event::Ran(PlanEnd::Completed { tolerated: false }) => {
            "the plan was carried out".to_owned()
        }
        Event::Ran(PlanEnd::Completed { tolerated: true }) => "some steps failed".to_owned(),
        Event::Ran(PlanEnd::Stopped { undrained, .. }) => match undrained {
            Some(server) => format!("the plan stopped: {server} did not drain"),
            None => "the plan stopped".to_owned(),
        },
        Event::Ran(PlanEnd::PerhapsOpen) => "the plan stopped: perhaps open".to_owned(),
        Event::Ranked(_) => "the policy answered".to_owned(),
        Event::Read(Reading::Answered { writable: true }) => "it takes writes".to_owned(),
        Event::Read(Reading::Answered { writable: false }) => "it is read-only".to_owned(),
        Event::Read(Reading::Silent) => "it is silent".to_owned(),
        Event::Read(Reading::Unreachable) => "it cannot be reached".to_owned(),
        Event::Woke => "time has passed".to_owned(),
    }
}

fn noted(note: &Note) -> String {
    match note {
        Note::Line { text, .. } => format!("note: {text}"),
        Note::Problem(text) => format!("problem: {text}"),
        Note::Successor(Some(server)) => format!("successor: {server}"),
        Note::Successor(None) => "no successor".to_owned(),
        Note::NotCommitted => "not committed".to_owned(),
        Note::LeftBehind(servers) if servers.is_empty() => "nobody is left behind".to_owned(),
        Note::LeftBehind(servers) => format!("left behind: {}", names(servers)),
        Note::NoDeadline => "no deadline any more".to_owned(),
        Note::SetAside {
            server,
            transactions,
            ..
        } => format!("set aside: {server} with {transactions}"),
    }
}

fn wanted(next: &Next) -> String {
    match next {
        Next::Run(plan) => steps(plan),
        Next::Rank(list) => {
            let allowed = list.iter().filter(|candidate| candidate.is_allowed());
            let allowed: Vec<ServerId> = allowed
                .map(|Candidate { server, .. }| server.clone())
                .collect();
            format!("  rank {}\n", names(&allowed))
        }
        Next::Read { server, .. } => format!("  read {server}\n"),
        Next::Wait(pause) => format!("  wait {} ms\n", pause.as_millis()),
        Next::End(end) => {
            let then = end.replace.as_ref();
            let then = then.map(|server| format!(", and {server} is replaced"));
            format!(
                "  end: {}{}\n",
                end.outcome.word(),
                then.unwrap_or_default()
            )
        }
    }
}

fn steps(plan: &Plan) -> String {
    let mut text = "  run\n".to_owned();
    for step in &plan.steps {
        writeln!(text, "    {}. {}", step.id, step.action.describe()).unwrap();
    }
    text
}

fn names(servers: &[ServerId]) -> String {
    let names: Vec<&str> = servers.iter().map(ServerId::as_str).collect();
    names.join(", ")
}
