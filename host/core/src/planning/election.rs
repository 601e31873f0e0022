//! Which candidate takes over, and what that loses.

use super::acknowledgers::{Acknowledgers, COULD_ACKNOWLEDGE, MAY_HOLD, Waiting};
use super::candidate::Candidate;
use super::explain::Reason;
use super::{Blocked, ExpectedLoss};
use crate::ids::ServerId;
use crate::model::{RecoveryKind, Risk, Server, ServerFacts, Snapshot, ThreadState};
use crate::time::Timestamp;

/// What the choice among candidates came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The successor.
    pub successor: ServerId,
    /// The server it must fetch transactions from first; `None` if it has everything.
    pub catch_up_from: Option<ServerId>,
    /// Transactions that a server has or was seen to have, and that are given up.
    pub given_up: u64,
    /// What may be lost besides, and cannot be counted; empty = nothing.
    pub risked: Vec<Reason>,
}

/// How much a person accepts to lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AcceptedLoss {
    /// At most so many transactions.
    AtMost(u64),
    /// Also what cannot be counted.
    Unknown,
}

/// A person's consent to lose something. It belongs to the server that was named, and is never
/// passed on to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Who is to be promoted.
    pub server: ServerId,
    /// What may be lost.
    pub loss: AcceptedLoss,
}

/// Whom to choose from, and who may say what.
#[derive(Clone, Copy, Debug)]
pub struct Election<'a> {
    /// Kind of the recovery.
    pub kind: RecoveryKind,
    /// The server that is replaced.
    pub replaced: &'a ServerId,
    /// The policy's order.
    pub order: &'a [ServerId],
    /// All candidates.
    pub list: &'a [Candidate],
    /// The facts.
    pub snapshot: &'a Snapshot,
    /// Only what was read or done after this instant cut a receiver off.
    pub revoked_after: Option<Timestamp>,
    /// A person wants this server and no other.
    pub requested: Option<&'a ServerId>,
    /// What a person accepted.
    pub consent: Option<&'a Consent>,
}

impl Election<'_> {
    /// Takes the first of the order that can have everything that the cluster is known to have. A
    /// requested server is taken or nobody.
    ///
    /// # Errors
    /// Blocked if nobody is left; if somebody may still acknowledge to the old primary; or if
    /// transactions would be lost, and nobody who may say so accepted that.
    pub fn choose(&self) -> Result<Choice, Blocked> {
        let loss = Unreachable::of(self.snapshot, self.replaced, self.list, self.revoked_after);
        let mut reasons: Vec<Reason> = Vec::new();
        let order = match self.requested {
            Some(requested) => std::slice::from_ref(requested),
            None => self.order,
        };
        for id in order {
            let found = self.list.iter().find(|c| c.server == *id);
            let Some(candidate) = found.filter(|c| self.is_allowed(c)) else {
                continue;
            };
            match self.elect(candidate, &loss) {
                Ok(choice) => return Ok(choice),
                Err(why) => reasons.extend(why),
            }
        }
        if reasons.is_empty() {
            reasons.extend(self.nobody());
        }
        reasons.dedup();
        Err(Blocked {
            kind: self.kind,
            reasons,
        })
    }

    fn is_allowed(&self, candidate: &Candidate) -> bool {
        let named = self.requested == Some(&candidate.server);
        let mut excluded = candidate.excluded.iter();
        excluded.all(|why| named && why.is_lifted_by_name())
    }

    fn elect(&self, candidate: &Candidate, loss: &Unreachable) -> Result<Choice, Vec<Reason>> {
        let consent = self.consent.filter(|c| c.server == candidate.server);
        let (catch_up_from, lacking) = match supplier_for(candidate, self.list, self.snapshot) {
            Supply::NotNeeded => (None, 0),
            Supply::From(source) => (Some(source), 0),
            Supply::Nobody { missing } => (None, missing),
        };
        let risk = self.snapshot.control.risk;
        let mut against = Vec::new();
        let given_up = lacking.saturating_add(loss.transactions);
        let accepted = match consent.map(|consent| consent.loss) {
            Some(AcceptedLoss::Unknown) => u64::MAX,
            Some(AcceptedLoss::AtMost(most)) => most,
            None => 0,
        };
        if lacking > 0 && given_up > accepted {
            against.push(would_lose(&candidate.server, lacking));
        }
        if loss.transactions > 0 && !loss.is_risked(risk) && given_up > accepted {
            against.push(loss.reason());
        }
        let unknown = loss.doubts(self.snapshot);
        let all = consent.is_some_and(|consent| consent.loss == AcceptedLoss::Unknown);
        if !all {
            against.extend(unknown.iter().cloned());
        }
        if !against.is_empty() {
            return Err(against);
        }
        Ok(Choice {
            successor: candidate.server.clone(),
            catch_up_from,
            given_up,
            risked: unknown,
        })
    }

    fn nobody(&self) -> Vec<Reason> {
        let about = |candidate: &&Candidate| match self.requested {
            Some(requested) => candidate.server == *requested,
            None => true,
        };
        let mut reasons: Vec<Reason> = self
            .list
            .iter()
            .filter(about)
            .flat_map(Candidate::exclusions)
            .collect();
        if reasons.is_empty() {
            let text = match self.requested {
                Some(requested) => format!("{requested} does not replicate from {}", self.replaced),
                None => "no replica may take over".to_owned(),
            };
            reasons.push(Reason {
                code: "no-candidate".to_owned(),
                text,
                about: self.requested.into_iter().cloned().collect(),
            });
        }
        reasons
    }
}

impl Reason {
    /// Whether a person who accepts a loss lifts this reason not to promote somebody.
    pub fn is_loss(&self) -> bool {
        LOSSES.contains(&self.code.as_str())
    }
}

const WOULD_LOSE: &str = "would-lose";
const LOST_SINCE: &str = "lost-since";
const MINORITY: &str = "minority";
const LOSSES: [&str; 5] = [
    WOULD_LOSE,
    LOST_SINCE,
    MINORITY,
    COULD_ACKNOWLEDGE,
    MAY_HOLD,
];

fn would_lose(id: &ServerId, missing: u64) -> Reason {
    Reason {
        code: WOULD_LOSE.to_owned(),
        text: format!(
            "{id} lacks {missing} transactions that only servers have which cannot hand them on"
        ),
        about: vec![id.clone()],
    }
}

/// What no server that can be asked has, although somebody had it or may have it.
struct Unreachable {
    /// Seen before, and nowhere now.
    transactions: u64,
    /// Members whose last reading shows some of these.
    holders: Vec<ServerId>,
    acknowledgers: Acknowledgers,
}

impl Unreachable {
    fn of(
        snapshot: &Snapshot,
        replaced: &ServerId,
        list: &[Candidate],
        revoked_after: Option<Timestamp>,
    ) -> Self {
        let wanted = list.iter().filter_map(|c| c.wanted.clone());
        let reached = wanted.reduce(|all, one| all.union(&one));
        let highest = snapshot.highest.as_ref();
        let transactions = match (&reached, highest) {
            (Some(reached), Some(highest)) => reached.missing_count(highest).unwrap_or(0),
            (None, _) | (_, None) => 0,
        };
        let holds = |facts: &ServerFacts| {
            let lost = highest
                .zip(reached.as_ref())
                .map(|(all, reached)| all.subtract(reached));
            lost.is_some_and(|lost| {
                let possessed = facts.possessed();
                possessed.missing_count(&lost) < lost.empty_like().missing_count(&lost)
            })
        };
        let servers = snapshot.servers.values();
        let holders = servers
            .filter(|server| server.id != *replaced)
            .filter(|server| server.last_facts().is_some_and(holds))
            .map(|server| server.id.clone());
        Self {
            transactions,
            holders: if transactions > 0 {
                holders.collect()
            } else {
                Vec::new()
            },
            acknowledgers: Acknowledgers::of(snapshot, replaced, revoked_after),
        }
    }

    /// What may be lost, or happen on the other side of a partition, and cannot be counted.
    fn doubts(&self, snapshot: &Snapshot) -> Vec<Reason> {
        let risk = snapshot.control.risk;
        let mut reasons = self.acknowledgers.objections(risk);
        reasons.extend(minority(snapshot).filter(|_| risk != Risk::Acknowledged));
        reasons
    }

    /// Whether what was seen may be lost without a person.
    fn is_risked(&self, risk: Risk) -> bool {
        match risk {
            Risk::Acknowledged => true,
            Risk::Nothing => false,
            Risk::Usual => self.acknowledgers.waiting != Waiting::Always,
        }
    }

    fn reason(&self) -> Reason {
        let names: Vec<&str> = self.holders.iter().map(ServerId::as_str).collect();
        let had = if names.is_empty() {
            "were received, and no server has them any more".to_owned()
        } else {
            format!(
                "were received by {}, and by no server that answers",
                names.join(", ")
            )
        };
        Reason {
            code: LOST_SINCE.to_owned(),
            text: format!("{} transactions {had}", self.transactions),
            about: self.holders.clone(),
        }
    }
}

/// If fewer than half of the members can be accounted for, this node may be on the small side of a
/// partition: somebody on the other side may act as well. One that answers counts, and one whose
/// host says that its process is gone.
fn minority(snapshot: &Snapshot) -> Option<Reason> {
    let is_known = |server: &&Server| server.answers() || server.probe.is_refused();
    let (known, missing): (Vec<&Server>, Vec<&Server>) =
        snapshot.servers.values().partition(is_known);
    (known.len() * 2 < snapshot.servers.len()).then(|| {
        let names: Vec<&str> = missing.iter().map(|server| server.id.as_str()).collect();
        Reason {
            code: MINORITY.to_owned(),
            text: format!(
                "{} of {} members are not reached ({}): they may be on the larger side of a partition; \
                 members that are gone for good are to be forgotten",
                missing.len(),
                snapshot.servers.len(),
                names.join(", ")
            ),
            about: missing.iter().map(|server| server.id.clone()).collect(),
        }
    })
}

/// What speaks against any failover from `replaced` without a person's consent, whoever is chosen;
/// empty if nothing does.
///
/// Without a reading after the revocation, whoever answers counts as cut off: it will be.
pub fn loss_objections(
    snapshot: &Snapshot,
    replaced: &ServerId,
    list: &[Candidate],
) -> Vec<Reason> {
    let loss = Unreachable::of(snapshot, replaced, list, None);
    let risk = snapshot.control.risk;
    let mut reasons = loss.doubts(snapshot);
    if loss.transactions > 0 && !loss.is_risked(risk) {
        reasons.push(loss.reason());
    }
    reasons
}

enum Supply {
    NotNeeded,
    From(ServerId),
    Nobody { missing: u64 },
}

/// Where a candidate gets what it lacks. A server that must not be promoted can still hand its
/// transactions on, unless it would hand on errant ones with them.
fn supplier_for(candidate: &Candidate, list: &[Candidate], snapshot: &Snapshot) -> Supply {
    let Some(missing) = candidate.missing else {
        return Supply::Nobody { missing: u64::MAX };
    };
    if missing == 0 {
        return Supply::NotNeeded;
    }
    let can_supply = |other: &&Candidate| {
        other.server != candidate.server
            && other.missing == Some(0)
            && other.errant.unwrap_or(0) == 0
            && snapshot.facts(&other.server).is_some_and(|facts| {
                let broken = facts
                    .channels
                    .iter()
                    .any(|c| c.applier_error.is_some() && c.applier == ThreadState::Stopped);
                facts.log_bin && facts.log_updates && !broken
            })
    };
    match list.iter().find(can_supply) {
        Some(other) => Supply::From(other.server.clone()),
        None => Supply::Nobody { missing },
    }
}

/// What replacing `replaced` now would lose, from the last readings.
pub fn expected_loss(snapshot: &Snapshot, replaced: &ServerId, list: &[Candidate]) -> ExpectedLoss {
    let Some(primary) = snapshot.facts(replaced) else {
        return ExpectedLoss::Unknown {
            reason: format!("{replaced} was never read"),
        };
    };
    let wanted = list.iter().filter_map(|c| c.wanted.clone());
    let Some(best) = wanted.reduce(|all, one| all.union(&one)) else {
        return ExpectedLoss::Unknown {
            reason: "no replica answers".to_owned(),
        };
    };
    let acknowledgers = Acknowledgers::of(snapshot, replaced, None);
    // Whatever may be risked: this says what is.
    if let Some(doubt) = acknowledgers.objections(Risk::Nothing).into_iter().next() {
        return ExpectedLoss::Unknown { reason: doubt.text };
    }
    let seen = snapshot.highest.as_ref();
    let seen = seen.and_then(|seen| best.missing_count(seen)).unwrap_or(0);
    match best.missing_count(&primary.executed).map(|n| n.max(seen)) {
        Some(0) if acknowledgers.waiting != Waiting::No => ExpectedLoss::NothingAcknowledged,
        Some(transactions) => ExpectedLoss::AtMost { transactions },
        None => ExpectedLoss::Unknown {
            reason: "GTID sets of different kinds cannot be compared".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
