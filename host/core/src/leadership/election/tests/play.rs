//! Plays one node's election: what happens goes in, a transcript comes out.

use std::fmt::Write as _;
use std::time::Duration;

use crate::ids::{LeaseEpoch, NodeName};
use crate::leadership::{
    Answer, Contact, Election, ElectionSettings, Event, LeaseState, Loss, Note, Order, Peer, Peers,
    Request, Role, Turn, View,
};
use crate::time::Timestamp;

pub(super) const TTL: Duration = Duration::from_secs(10);
const GUARD: Duration = Duration::from_secs(1);

pub(super) fn settings(node: &str, ttl: Duration) -> ElectionSettings {
    ElectionSettings {
        node: NodeName::new(node),
        holder: NodeName::new(format!("{node}#a0-1")),
        ttl,
        guard: GUARD,
        without_store: true,
    }
}

/// A peer that answers and does not lead.
pub(super) fn peer(name: &str) -> Peer {
    Peer {
        name: NodeName::new(name),
        start: Some("a0-1".to_owned()),
        contact: Contact::Answers,
        heard_since: Some(Timestamp::default()),
        leads: false,
        granted: false,
        epoch: LeaseEpoch::default(),
        hears: Vec::new(),
    }
}

/// A row that `name` holds.
pub(super) fn held_by(name: &str, epoch: u64, renewals: u64) -> LeaseState {
    LeaseState {
        holder: Some(NodeName::new(format!("{name}#a0-1"))),
        epoch: LeaseEpoch(epoch),
        renewals,
        ttl: TTL,
    }
}

/// Node `n1`.
pub(super) struct Play {
    pub(super) election: Election,
    pub(super) now: Timestamp,
    pub(super) peers: Peers,
    wake_after: Duration,
    shown: Option<Role>,
    counts: bool,
    text: String,
}

impl Play {
    /// The node starts beside these peers.
    pub(super) fn new(peers: &[Peer]) -> Self {
        Self::with(settings("n1", TTL), peers)
    }

    pub(super) fn with(settings: ElectionSettings, peers: &[Peer]) -> Self {
        let now = Timestamp::from_millis(10_000);
        let mut play = Self {
            election: Election::new(settings, now),
            now,
            peers: Peers(peers.to_vec()),
            wake_after: Duration::ZERO,
            shown: Some(Role::Follower),
            counts: false,
            text: String::new(),
        };
        play.tell("started", Event::Started);
        play
    }

    /// A node that leads without the store under `epoch`, which the store had granted or not.
    pub(super) fn leading_without_store(node: &str, epoch: u64, granted: bool) -> Self {
        let mut play = Self::new(&[]);
        play.election = Election::new(settings(node, TTL), play.now);
        play.election.role = Role::LeaderWithoutStore {
            epoch: LeaseEpoch(epoch),
            granted,
        };
        play
    }

    pub(super) fn granted(&mut self, epoch: u64, renewals: u64) -> &mut Self {
        let row = held_by("n1", epoch, renewals);
        self.tell("granted", Event::Answered(Answer::Granted(row)))
    }

    pub(super) fn denied(&mut self, holder: &str, epoch: u64, renewals: u64) -> &mut Self {
        let row = held_by(holder, epoch, renewals);
        let text = format!("denied: {holder} holds epoch {epoch}, renewal {renewals}");
        self.tell(&text, Event::Answered(Answer::Denied(row)))
    }

    pub(super) fn failed(&mut self) -> &mut Self {
        self.tell("no answer", Event::Answered(Answer::Failed))
    }

    pub(super) fn order(&mut self, order: Order) -> &mut Self {
        self.tell(
            &format!("order: {}", ordered(&order)),
            Event::Ordered(order),
        )
    }

    /// A peer's contact changes.
    pub(super) fn contact(&mut self, name: &str, contact: Contact) -> &mut Self {
        let peers = self.peers.0.iter_mut();
        for peer in peers.filter(|peer| peer.name.as_str() == name) {
            peer.contact = contact;
        }
        let word = match contact {
            Contact::Answers => "answers",
            Contact::Gone(_) => "is gone",
            Contact::Silent(_) => "is silent",
        };
        self.tell(&format!("{name} {word}"), Event::PeersChanged)
    }

    /// A peer says that it leads under this epoch.
    pub(super) fn leads(&mut self, name: &str, epoch: u64, granted: bool) -> &mut Self {
        let peers = self.peers.0.iter_mut();
        for peer in peers.filter(|peer| peer.name.as_str() == name) {
            (peer.leads, peer.granted, peer.epoch) = (true, granted, LeaseEpoch(epoch));
        }
        self.tell(
            &format!("{name} leads under epoch {epoch}"),
            Event::PeersChanged,
        )
    }

    /// Time passes; timer events come as they were asked for.
    pub(super) fn pass(&mut self, millis: u64) -> &mut Self {
        let end = self.now.plus(Duration::from_millis(millis));
        while self.now.plus(self.wake_after) <= end {
            self.now = self.now.plus(self.wake_after.max(Duration::from_millis(1)));
            self.happens(None, Event::Timer);
        }
        self.now = end;
        self
    }

    /// The process is stopped for a while, and runs again.
    pub(super) fn stall(&mut self, millis: u64) -> &mut Self {
        self.now = self.now.plus(Duration::from_millis(millis));
        self.happens(Some("runs again"), Event::Timer)
    }

    fn tell(&mut self, text: &str, event: Event) -> &mut Self {
        self.happens(Some(text), event)
    }

    fn happens(&mut self, text: Option<&str>, event: Event) -> &mut Self {
        let view = View {
            now: self.now,
            peers: &self.peers,
            busy: false,
        };
        let is_order = matches!(event, Event::Ordered(_));
        let Turn {
            notes,
            request,
            release,
            wake_after,
        } = self.election.advance(&view, event);
        if !is_order {
            self.wake_after = wake_after;
        }
        let mut lines: Vec<String> = notes.iter().map(noted).collect();
        lines.extend(release.map(|epoch| format!("-> release epoch {epoch}")));
        lines.extend(request.as_ref().map(requested));
        let role = self.election.role();
        if self.shown.replace(role) != Some(role) {
            lines.push(format!("= {}", shown(role)));
        }
        let counts = self.election.lease_counts(self.now, Duration::ZERO);
        if std::mem::replace(&mut self.counts, counts) != counts {
            let word = if counts { "counts" } else { "does not count" };
            lines.push(format!("= the lease {word} as half a vote"));
        }
        if text.is_none() && lines.is_empty() {
            return self;
        }
        let head = text.unwrap_or("time has passed");
        writeln!(self.text, "{} {head}", time(self.now)).unwrap();
        for line in lines {
            writeln!(self.text, "    {line}").unwrap();
        }
        self
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

fn time(at: Timestamp) -> String {
    format!("{:.2}s", Duration::from_micros(at.micros()).as_secs_f64())
}

fn ordered(order: &Order) -> &'static str {
    match order {
        Order::Lead => "lead",
        Order::WithdrawLead => "lead no more",
        Order::StepDown => "step down",
        Order::Stop => "stop",
        Order::Bar(_) => "do not act",
        Order::Unbar => "act again",
        Order::AskStore => "ask the store",
        Order::RaiseEpoch(_) => "raise the epoch",
        Order::Moved { .. } => "the store was moved",
    }
}

fn noted(note: &Note) -> String {
    match note {
        Note::LeaseTaken(epoch) => format!("lease taken: epoch {epoch}"),
        Note::LeadershipLost(loss) => {
            let why = match loss {
                Loss::HeldByAnother => "another node holds the lease",
                Loss::RanOut => "the lease ran out",
                Loss::AnotherGoesFirst => "another leader goes first",
                Loss::GivenUp => "given up",
            };
            format!("leadership lost: {why}")
        }
        Note::GoesOnWithoutStore(epoch) => format!("goes on without the store: epoch {epoch}"),
        Note::LeadsWithoutStore(epoch) => format!("leads without the store: epoch {epoch}"),
        Note::Stalled(missed) => format!("the process stalled for {missed:?}"),
        Note::Barred(why) => format!("must not act: {why}"),
        Note::Unbarred => "may act again".to_owned(),
    }
}

fn requested(request: &Request) -> String {
    match request {
        Request::Renew { epoch } => format!("-> renew epoch {epoch}"),
        Request::Claim { expected, highest } => match expected {
            Some((epoch, renewals)) => format!(
                "-> claim above epoch {highest}, expecting epoch {epoch}, renewal {renewals}"
            ),
            None => format!("-> claim above epoch {highest}, if the lease is free"),
        },
    }
}

fn shown(role: Role) -> String {
    match role {
        Role::Follower => "follower".to_owned(),
        Role::Leader { epoch, until, .. } => {
            format!("leader of epoch {epoch} until {}", time(until))
        }
        Role::LeaderWithoutStore { epoch, granted } => {
            let word = if granted { "granted" } else { "its own" };
            format!("leader of epoch {epoch} without the store, {word}")
        }
    }
}
