//! Asking the policy, and what every question carries.

use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{NodeName, ServerId};
use baton_core::model::Snapshot;
use baton_core::planning::Reason;
use baton_core::policy::{self, AssessQuestion, Assessment, Context, RankQuestion, Ranking};
use baton_ports::{Policies, PolicyReply};

use crate::counters::Counters;

/// Asks the configured policy and counts the calls.
pub(crate) struct PolicyClient {
    pub(crate) node: NodeName,
    pub(crate) policies: Arc<dyn Policies>,
    pub(crate) counters: Arc<Counters>,
}

impl PolicyClient {
    /// Name, version and state of the configured policy.
    pub(super) fn describe(&self) -> String {
        self.policies.describe()
    }

    /// Is this worth a recovery?
    pub(super) async fn assess(&self, question: &AssessQuestion) -> PolicyReply<Assessment> {
        let reply = self.policies.assess(question).await;
        self.count(reply.took, reply.fallback.is_some());
        reply
    }

    /// Who takes over?
    pub(super) async fn rank(&self, question: &RankQuestion) -> PolicyReply<Ranking> {
        let reply = self.policies.rank(question).await;
        self.count(reply.took, reply.fallback.is_some());
        reply
    }

    fn count(&self, took: Duration, fell_back: bool) {
        self.counters.policy_calls.add();
        self.counters
            .policy_micros
            .add_n(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if fell_back {
            self.counters.policy_fallbacks.add();
        }
    }

    /// What every question to a policy carries. `what` names the question.
    pub(super) fn context(&self, snapshot: &Snapshot, what: &str) -> Context {
        Context {
            decision: format!(
                "{}-{}-{what}",
                snapshot.cluster.id,
                snapshot.taken_at.micros()
            ),
            now: u32::try_from(snapshot.wall.millis() / 1000).unwrap_or(u32::MAX),
            node: self.node.to_string(),
            peers: Vec::new(),
            peers_answering: 0,
            extra: None,
        }
    }
}

/// A policy's reason with identities instead of indexes.
pub(super) fn reason(reason: &policy::Reason, ids: &[ServerId]) -> Reason {
    let id = |index: &u32| {
        usize::try_from(*index)
            .ok()
            .and_then(|index| ids.get(index))
            .cloned()
    };
    Reason {
        code: reason.code.clone(),
        text: reason.text.clone(),
        about: reason.about.iter().filter_map(id).collect(),
    }
}
