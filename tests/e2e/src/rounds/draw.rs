//! What is drawn by lot.

use std::fmt;
use std::time::Duration;

use crate::lots::Lots;

/// What happens to the managed cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// The primary is killed.
    Kill,
    /// The primary is frozen, and wakes up when a successor writes.
    Freeze,
    /// The primary is cut off from its replicas and from Baton; clients still reach it.
    Cut,
    /// A planned change.
    Switchover,
    /// Nothing: nothing may follow.
    Nothing,
}

impl Trigger {
    /// All.
    pub const ALL: [Self; 5] = [
        Self::Kill,
        Self::Freeze,
        Self::Cut,
        Self::Switchover,
        Self::Nothing,
    ];
}

/// What happens to those who look after the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The leader is killed.
    LeaderKilled,
    /// The leader is frozen and wakes up later.
    LeaderFrozen,
    /// The backend's node in use is killed.
    NodeKilled,
    /// The backend's node in use is frozen and wakes up later.
    NodeFrozen,
    /// Both are killed.
    LeaderAndNodeKilled,
    /// The leader does not reach the backend for a while.
    LeaderCutFromBackend,
    /// The leader and the other nodes do not reach each other for a while.
    LeaderCutFromPeers,
    /// The leader reaches neither the backend nor the other nodes for a while.
    LeaderCutOff,
    /// The backend's node in use and its others do not reach each other for a while.
    BackendSplit,
    /// The whole backend is killed, and returns when the cluster is writable.
    BackendDown,
    /// A node of the backend that is not in use comes back.
    NodeRejoins,
    /// Nothing.
    Nothing,
}

impl Fault {
    /// All.
    pub const ALL: [Self; 12] = [
        Self::LeaderKilled,
        Self::LeaderFrozen,
        Self::NodeKilled,
        Self::NodeFrozen,
        Self::LeaderAndNodeKilled,
        Self::LeaderCutFromBackend,
        Self::LeaderCutFromPeers,
        Self::LeaderCutOff,
        Self::BackendSplit,
        Self::BackendDown,
        Self::NodeRejoins,
        Self::Nothing,
    ];
}

/// When the fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// With the trigger.
    Together,
    /// So long after the trigger.
    AfterTrigger(Duration),
    /// So long after the leader said that it has begun a recovery.
    AfterBegun(Duration),
}

/// One round, as drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The seed of the row of rounds.
    pub seed: u64,
    /// Its number in the row, from 1.
    pub number: u64,
    /// What happens to the managed cluster.
    pub trigger: Trigger,
    /// What happens to those who look after it.
    pub fault: Fault,
    /// When.
    pub moment: Moment,
    /// How long a fault that ends by itself lasts.
    pub lasting: Duration,
}

impl Draw {
    /// The round of that number.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut lots = Lots::new(seed, number);
        // In turn, so that a hundred rounds meet each fault; which trigger it meets is drawn.
        let count = Fault::ALL.len() as u64;
        let turn = usize::try_from((number + seed) % count).unwrap_or_default();
        let fault = Fault::ALL.get(turn).copied().unwrap_or(Fault::Nothing);
        let trigger = match lots.below(20) {
            0..=9 => Trigger::Kill,
            10..=12 => Trigger::Freeze,
            13..=14 => Trigger::Cut,
            15..=17 => Trigger::Switchover,
            _ => Trigger::Nothing,
        };
        let moment = match (trigger, lots.below(10)) {
            (Trigger::Nothing, _) | (_, 0..=2) => Moment::AfterTrigger(lots.up_to(400)),
            (_, 3) => Moment::Together,
            (_, 4..=5) => Moment::AfterTrigger(lots.up_to(80)),
            _ => Moment::AfterBegun(lots.up_to(60)),
        };
        Self {
            seed,
            number,
            trigger,
            fault,
            moment,
            lasting: Duration::from_millis(500) + lots.up_to(5000),
        }
    }
}

impl fmt::Display for Draw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            number,
            trigger,
            fault,
            moment,
            lasting,
        } = self;
        write!(formatter, "seed {seed} round {number}: {trigger}, {fault} ")?;
        let millis = |after: &Duration| after.as_secs_f64() * 1000.0;
        match moment {
            Moment::Together => write!(formatter, "with it"),
            Moment::AfterTrigger(after) => write!(formatter, "{:.1} ms later", millis(after)),
            Moment::AfterBegun(after) => {
                write!(
                    formatter,
                    "{:.1} ms after the recovery began",
                    millis(after)
                )
            }
        }?;
        write!(formatter, ", for {:.1} s", lasting.as_secs_f64())
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Kill => "primary killed",
            Self::Freeze => "primary frozen",
            Self::Cut => "primary cut off",
            Self::Switchover => "switchover",
            Self::Nothing => "nothing",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::LeaderKilled => "leader killed",
            Self::LeaderFrozen => "leader frozen",
            Self::NodeKilled => "backend node killed",
            Self::NodeFrozen => "backend node frozen",
            Self::LeaderAndNodeKilled => "leader and backend node killed",
            Self::LeaderCutFromBackend => "leader cut from backend",
            Self::LeaderCutFromPeers => "leader cut from peers",
            Self::LeaderCutOff => "leader cut from backend and peers",
            Self::BackendSplit => "backend split",
            Self::BackendDown => "whole backend down",
            Self::NodeRejoins => "backend node rejoins",
            Self::Nothing => "no fault",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Draw, Fault};

    #[test]
    fn a_round_is_repeated_by_its_number() {
        assert_eq!(Draw::new(7, 3), Draw::new(7, 3));
        assert_ne!(Draw::new(7, 3).moment, Draw::new(8, 3).moment);
    }

    #[test]
    fn a_row_meets_every_fault_in_turn() {
        let met: BTreeSet<Fault> = Fault::ALL
            .iter()
            .zip(1..)
            .map(|(_, number)| Draw::new(5, number).fault)
            .collect();
        assert_eq!(met.len(), Fault::ALL.len());
    }
}
