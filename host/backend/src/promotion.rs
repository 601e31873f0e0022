//! Which node of a pair is to take writes. Pure.
//!
//! Two nodes have no majority: "the other is dead" and "we are cut off" look the same. So the
//! passive node is opened only on two viewpoints (Baton's own, and the passive node's receiver),
//! only if it is known to have followed until the end, and only after the active one was fenced or
//! does not answer at all. What the active node had acknowledged and not yet sent is lost or comes
//! back later: the kind gives availability, not exclusivity.

use std::time::Duration;

use baton_core::gtid::GtidSet;
use baton_core::model::{ProbeFailure, ServerFacts, ThreadState};
use baton_core::time::Timestamp;

use crate::facts::channel;
use crate::progress::{self, Progress, Standing};
use crate::rules::pair::is_writable;

/// How long before the last sign of life of the active node the passive one must have been
/// connected to it, at the longest: a probe interval at its maximum, and the time a reading takes.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(5);

/// One node of the pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    pub(crate) address: &'a str,
    pub(crate) progress: &'a Progress,
    /// Its facts, if they still hold.
    pub(crate) facts: Option<&'a ServerFacts>,
    /// When its receiver was last seen connected.
    pub(crate) followed: Option<Timestamp>,
    /// When it was last seen answering.
    pub(crate) answered: Option<Timestamp>,
    /// Another Baton node sees it answering, or uses it.
    pub(crate) seen_by_peers: bool,
}

/// What happened before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    /// The node in use, or the last one.
    pub(crate) used: Option<usize>,
    /// Since when both have answered and neither takes writes.
    pub(crate) closed_since: Option<Timestamp>,
    /// Patience with a silent node, and with two closed ones.
    pub(crate) patience: Duration,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// All is well, or nothing can be said yet.
    Nothing,
    /// Not yet, or not at all: why, for people.
    Hold(String),
    /// Open `candidate`.
    Promote {
        /// Place in the pair.
        candidate: usize,
        /// Its receiver still counts as connected although its source is silent: make it connect
        /// anew first.
        reconnect: bool,
        /// For people.
        why: String,
    },
    /// Both take writes: close this one.
    Fence {
        /// Place in the pair.
        node: usize,
        /// For people.
        why: String,
    },
}

/// Decides on the roles of two nodes.
pub(crate) fn decide(sides: [Side<'_>; 2], before: Before, now: Timestamp) -> Decision {
    let [first, second] = sides;
    match (first.facts, second.facts) {
        (Some(one), Some(two)) => match (is_writable(one), is_writable(two)) {
            (true, true) => both_open(sides, before),
            (false, false) => both_closed(sides, (one, two), before, now),
            (true, false) | (false, true) => Decision::Nothing,
        },
        (Some(own), None) if !is_writable(own) => alone(0, (first, own), second, before, now),
        (None, Some(own)) if !is_writable(own) => alone(1, (second, own), first, before, now),
        (Some(_) | None, None) | (None, Some(_)) => Decision::Nothing,
    }
}

fn both_open(sides: [Side<'_>; 2], before: Before) -> Decision {
    let Some(used) = before.used else {
        return Decision::Hold(
            "both nodes take writes, and which one is right is not known".to_owned(),
        );
    };
    let other = 1 - used.min(1);
    match (sides.get(used), sides.get(other)) {
        (Some(used), Some(stale)) if !stale.seen_by_peers => Decision::Fence {
            node: other,
            why: format!(
                "{} takes writes although {} is in use",
                stale.address, used.address
            ),
        },
        _ => Decision::Hold(
            "both nodes take writes, and other Baton nodes use the other one".to_owned(),
        ),
    }
}

/// After a restart of both, each comes up read-only.
fn both_closed(
    sides: [Side<'_>; 2],
    facts: (&ServerFacts, &ServerFacts),
    before: Before,
    now: Timestamp,
) -> Decision {
    let waited = before
        .closed_since
        .map_or(Duration::ZERO, |since| now.since(since));
    if waited < before.patience {
        return Decision::Hold("neither node takes writes".to_owned());
    }
    let (first, second) = (facts.0.possessed(), facts.1.possessed());
    let preferred = before.used.unwrap_or(0).min(1);
    let candidate = match (covers(&first, &second), covers(&second, &first)) {
        (true, true) => preferred,
        (true, false) => 0,
        (false, true) => 1,
        (false, false) => {
            return Decision::Hold(
                "neither node takes writes, and each has transactions that the other lacks: let them replicate, \
                 or decide and SET GLOBAL read_only=0 on one"
                    .to_owned(),
            );
        }
    };
    let address = sides
        .get(candidate)
        .map(|side| side.address)
        .unwrap_or_default();
    Decision::Promote {
        candidate,
        reconnect: false,
        why: format!(
            "neither node has taken writes for {} s, and {address} lacks nothing that the other has",
            waited.as_secs()
        ),
    }
}

fn covers(one: &GtidSet, other: &GtidSet) -> bool {
    other.subtract(one).is_empty()
}

/// `own` answers and is closed; the other gives no facts.
fn alone(
    candidate: usize,
    (side, own): (Side<'_>, &ServerFacts),
    lost: Side<'_>,
    before: Before,
    now: Timestamp,
) -> Decision {
    let hold = |text: String| Decision::Hold(text);
    let Some((failure, since)) = lost.progress.failure().zip(lost.progress.failing_since) else {
        return Decision::Nothing;
    };
    if lost.progress.standing() != Standing::Lost {
        return Decision::Nothing;
    }
    if lost.seen_by_peers {
        return hold(format!(
            "{} is not reached from here, but other Baton nodes reach it",
            lost.address
        ));
    }
    let waited = now.since(since);
    let is_gone = progress::speaks_for_itself(failure);
    if !is_gone && !progress::is_silence(failure) {
        return hold(format!(
            "{} answers, but not in a way that lets Baton fence it ({}): nothing is promoted",
            lost.address,
            failure.word()
        ));
    }
    let is_fresh = side.progress.standing() == Standing::Answering
        && side
            .progress
            .reading
            .as_ref()
            .is_some_and(|(at, _)| *at >= since);
    if !is_fresh {
        return hold(format!(
            "{} is being asked what it knows of {}",
            side.address, lost.address
        ));
    }
    if let Some(objection) = objection(side, own, lost) {
        return hold(objection);
    }
    let is_connected = channel(own).is_some_and(|channel| channel.receiver == ThreadState::Running);
    if waited < before.patience && (!is_gone || is_connected) {
        return hold(format!(
            "{} is silent, and {} still counts it as connected or it may come back: waiting",
            lost.address, side.address
        ));
    }
    Decision::Promote {
        candidate,
        reconnect: is_connected,
        why: format!(
            "{} has been gone ({}) for {} ms",
            lost.address,
            word(failure),
            waited.as_millis()
        ),
    }
}

fn word(failure: &ProbeFailure) -> &'static str {
    failure.word()
}

/// Why the passive node may not be opened whatever happens to the active one.
fn objection(side: Side<'_>, own: &ServerFacts, lost: Side<'_>) -> Option<String> {
    let Some(channel) = channel(own) else {
        return Some(format!(
            "{} follows no other server: it may lack anything",
            side.address
        ));
    };
    if let Some(error) = &channel.applier_error {
        return Some(format!(
            "{} has stopped applying changes with error {}: compare the nodes, then decide",
            side.address, error.number
        ));
    }
    if channel.applier != ThreadState::Running {
        return Some(format!(
            "the applier of {} does not run: START REPLICA (MariaDB: START SLAVE) there",
            side.address
        ));
    }
    let followed = match (side.followed, lost.answered) {
        (Some(followed), Some(answered)) => followed.plus(FOLLOWED_WITHIN) >= answered,
        (None, _) | (_, None) => false,
    };
    (!followed).then(|| {
        format!(
            "this Baton node has not seen {} follow {} until its end, so it may lack much: if that is known to be no loss, \
             SET GLOBAL read_only=0 on {}",
            side.address, lost.address, side.address
        )
    })
}

#[cfg(test)]
mod tests;
