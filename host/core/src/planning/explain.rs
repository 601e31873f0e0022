//! The answer to "what is wrong, what would you do now, and why not?".

use super::candidate::Candidate;
use super::plan::Phase;
use crate::analysis::{Evidence, Report};
use crate::ids::{ClusterId, ServerId};
use crate::model::RecoveryKind;

/// What Baton would do about a cluster at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intention {
    /// Nothing is wrong that a recovery could answer.
    Nothing,
    /// A recovery is under way.
    Recovering {
        /// Its kind.
        kind: RecoveryKind,
    },
    /// It would begin this recovery at once.
    Act {
        /// Its kind.
        kind: RecoveryKind,
        /// The server it is about.
        subject: ServerId,
    },
    /// It waits for evidence or for a time the policy asked for.
    Wait {
        /// The recovery it may come to.
        kind: RecoveryKind,
        /// The server it is about.
        subject: ServerId,
    },
    /// It does nothing although something is wrong; see the reasons.
    Hold {
        /// The recovery that is held back, if the finding has one.
        kind: Option<RecoveryKind>,
        /// The server it is about.
        subject: ServerId,
    },
}

/// One server as a successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateView {
    /// The server.
    pub server: ServerId,
    /// Place in the policy's order, 1 = would be promoted; `None` = excluded or vetoed.
    pub rank: Option<u32>,
    /// Policy's score, for people.
    pub score: Option<i32>,
    /// Transactions that the most advanced server has received and this one has not; `None` = not
    /// known.
    pub missing: Option<u64>,
    /// Received and not applied; `None` = not known.
    pub unapplied: Option<u64>,
    /// Why it is ranked so, or why not at all.
    pub reasons: Vec<Reason>,
    /// True if Baton itself excludes it (no policy can allow it).
    pub excluded: bool,
}

impl CandidateView {
    /// A candidate before the policy was asked.
    pub fn of(candidate: &Candidate) -> Self {
        let warnings = candidate.warnings.iter().cloned();
        Self {
            server: candidate.server.clone(),
            rank: None,
            score: None,
            missing: candidate.missing,
            unapplied: candidate.unapplied,
            reasons: candidate.exclusions().chain(warnings).collect(),
            excluded: !candidate.is_allowed(),
        }
    }
}

/// One thing that an operation would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeseenStep {
    /// What it is for.
    pub phase: Phase,
    /// The server it is about.
    pub server: Option<ServerId>,
    /// In words.
    pub text: String,
    /// It would fail, because the server does not answer. The plan tolerates that.
    pub fails: bool,
}

/// A reason with an owned code, since policies invent codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Kebab-case word.
    pub code: String,
    /// One sentence.
    pub text: String,
    /// Servers it is about; empty = all.
    pub about: Vec<ServerId>,
}

impl From<Evidence> for Reason {
    fn from(evidence: Evidence) -> Self {
        Self {
            code: evidence.code.to_owned(),
            text: evidence.text,
            about: evidence.about,
        }
    }
}

/// What a failover now would lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedLoss {
    /// No failover is in question; or nothing, for a planned change.
    None,
    /// Nothing that was acknowledged: semi-synchronous replication was in force and an
    /// acknowledging replica is at hand.
    NothingAcknowledged,
    /// At most these transactions of the last known state of the primary were received by no
    /// replica that answers.
    AtMost {
        /// Number of transactions.
        transactions: u64,
    },
    /// Cannot be told, with the reason.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Everything about one cluster's present and intended state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Cluster.
    pub cluster: ClusterId,
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub report: Report,
    /// What Baton would do now.
    pub intention: Intention,
    /// Why it would, or why not: policy's reasons first, then what stops it.
    pub reasons: Vec<Reason>,
    /// What stops it (downtime, cooldown, not automatic, switched off, no lease, policy); empty if
    /// nothing does.
    pub obstacles: Vec<Reason>,
    /// Whom it would promote, and why not the others.
    pub candidates: Vec<CandidateView>,
    /// What would be lost.
    pub expected_loss: ExpectedLoss,
    /// What the recovery would do, in order; empty if no recovery answers what is wrong.
    pub steps: Vec<ForeseenStep>,
    /// What would go wrong with it, or stands in its way; the first one first.
    pub problems: Vec<String>,
    /// `name@version` of the policy that was asked.
    pub policy: String,
}
