//! The other nodes as this node knows them.

use std::collections::BTreeSet;

use super::duplicate_name::is_later_start;
use super::lease::Holder;
use crate::ids::{LeaseEpoch, NodeName};
use crate::time::Timestamp;

/// Whether a peer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contact {
    /// It answers.
    Answers,
    /// Its process is gone since then: nobody listens, or the connection was closed.
    Gone(Timestamp),
    /// It gives no answer, or none that makes sense, since then.
    Silent(Timestamp),
}

/// A peer that has answered at least once: what it said last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its name.
    pub name: NodeName,
    /// Which start of its process answered last; `None` if it did not say.
    pub start: Option<String>,
    /// Whether it answers now.
    pub contact: Contact,
    /// When this start of it answered first.
    pub heard_since: Option<Timestamp>,
    /// It leads.
    pub leads: bool,
    /// The store granted it the epoch under which it leads.
    pub granted: bool,
    /// Epoch under which it leads, or the highest that it has seen.
    pub epoch: LeaseEpoch,
    /// Nodes that answer it.
    pub hears: Vec<NodeName>,
}

/// Whether a holder of the lease is alive, as seen by this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It answers.
    Alive,
    /// Its process is gone, since then.
    Gone(Timestamp),
    /// It does not answer, since then: stopped, or cut off from this node.
    Silent(Timestamp),
    /// A later start of the same node answers since then, so the holder's process has ended.
    Replaced(Timestamp),
    /// It is none of the configured peers, or it never answered.
    Unknown,
}

/// Which process of a node answers, compared with the one in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    Same,
    Earlier,
    Later,
}

impl Peer {
    fn answers(&self) -> bool {
        self.contact == Contact::Answers
    }

    /// `None` if this is another node.
    fn compare(&self, holder: &Holder) -> Option<Process> {
        if self.name != holder.name {
            return None;
        }
        let (Some(heard), Some(asked)) = (self.start.as_deref(), holder.start.as_deref()) else {
            return Some(Process::Same);
        };
        Some(if heard == asked {
            Process::Same
        } else if is_later_start(heard, asked) {
            Process::Later
        } else {
            Process::Earlier
        })
    }

    fn liveness(&self) -> Liveness {
        match self.contact {
            Contact::Answers => Liveness::Alive,
            Contact::Gone(since) => Liveness::Gone(since),
            Contact::Silent(since) => Liveness::Silent(since),
        }
    }
}

/// All peers that have answered at least once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peers(pub Vec<Peer>);

impl Peers {
    fn answering(&self) -> impl Iterator<Item = &Peer> {
        self.0.iter().filter(|peer| peer.answers())
    }

    /// The peers that answer and lead.
    pub(super) fn leading(&self) -> impl Iterator<Item = &Peer> {
        self.answering().filter(|peer| peer.leads)
    }

    /// The peer that leads under the highest epoch, if one leads.
    pub fn leader(&self) -> Option<&NodeName> {
        let leader = self.leading().max_by_key(|peer| peer.epoch);
        leader.map(|peer| &peer.name)
    }

    /// The highest epoch that any peer named, whether or not it answers now.
    pub(super) fn highest_epoch(&self) -> Option<LeaseEpoch> {
        self.0.iter().map(|peer| peer.epoch).max()
    }

    /// True if a peer that answers this node hears `name`.
    pub(super) fn is_heard_by_others(&self, name: &NodeName) -> bool {
        self.answering().any(|peer| peer.hears.contains(name))
    }

    /// Place of `own` among all nodes that are alive, by name.
    pub(super) fn rank(&self, own: &NodeName) -> u32 {
        let names = self.answering().map(|peer| &peer.name);
        let before: BTreeSet<&NodeName> = names.filter(|name| *name < own).collect();
        u32::try_from(before.len()).unwrap_or(u32::MAX)
    }

    /// Whether the holder is alive: that process, if its start is known.
    pub fn liveness(&self, holder: &Holder) -> Liveness {
        let find = |process: Process| {
            let mut peers = self.0.iter();
            peers.find(|peer| peer.compare(holder) == Some(process))
        };
        if let Some(peer) = find(Process::Same) {
            return peer.liveness();
        }
        if let Some(since) = find(Process::Later).and_then(|peer| peer.heard_since) {
            return Liveness::Replaced(since);
        }
        // The holder has started since this node last heard of it.
        find(Process::Earlier).map_or(Liveness::Unknown, Peer::liveness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(start: &str, since: u64) -> Peers {
        Peers(vec![Peer {
            name: NodeName::new("n2"),
            start: Some(start.to_owned()),
            contact: Contact::Answers,
            heard_since: Some(Timestamp::from_micros(since)),
            leads: false,
            granted: false,
            epoch: LeaseEpoch(3),
            hears: Vec::new(),
        }])
    }

    #[test]
    fn a_holder_whose_later_start_answers_is_gone() {
        let holder = |start: &str| Holder {
            name: NodeName::new("n2"),
            start: Some(start.to_owned()),
        };
        let unheard = Peers::default();
        assert_eq!(unheard.liveness(&holder("a0-1")), Liveness::Unknown);
        let first = heard("a0-1", 10);
        assert_eq!(first.liveness(&holder("a0-1")), Liveness::Alive);
        let second = heard("b0-1", 20);
        let since = Timestamp::from_micros(20);
        assert_eq!(second.liveness(&holder("a0-1")), Liveness::Replaced(since));
        assert_eq!(second.liveness(&holder("b0-1")), Liveness::Alive);
        // A start that this node has not heard yet, of a node whose earlier start it heard last.
        assert_eq!(second.liveness(&holder("c0-1")), Liveness::Alive);
    }
}
