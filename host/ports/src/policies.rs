//! The port to policy components.

use async_trait::async_trait;
use baton_core::policy::backend::{SelectQuestion, Selection};
use baton_core::policy::{AssessQuestion, Assessment, RankQuestion, Ranking};
use std::time::Duration;

/// Why the configured policy did not answer a question itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFailure {
    /// Name of the policy.
    pub policy: String,
    /// Stable word: `trap`, `deadline`, `fuel`, `memory`, `malformed`, `nonsense`, `declined`.
    pub kind: String,
    /// For people.
    pub text: String,
}

/// An accepted answer and who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyReply<A> {
    /// The answer, checked.
    pub answer: A,
    /// `name@version` of the policy that gave it.
    pub policy: String,
    /// Set if the configured policy failed and the built-in default answered.
    pub fallback: Option<PolicyFailure>,
    /// How long the call took.
    pub took: Duration,
    /// Log lines of the call, already bounded and cleaned.
    pub log: Vec<String>,
}

/// Answers questions. Never fails: the built-in default stands behind every configured policy.
#[async_trait]
pub trait Policies: Send + Sync {
    /// Is this worth a recovery?
    async fn assess(&self, question: &AssessQuestion) -> PolicyReply<Assessment>;
    /// Who takes over?
    async fn rank(&self, question: &RankQuestion) -> PolicyReply<Ranking>;
    /// Name, version and state of the configured policy, for status pages.
    fn describe(&self) -> String;
}

/// Answers which backend node to use. Never fails: the built-in `backend-first` stands behind every
/// configured selector, and the host's own rule (a node that is not ready is never chosen) behind
/// every answer.
#[async_trait]
pub trait Selectors: Send + Sync {
    /// Which node now?
    async fn select(&self, question: &SelectQuestion) -> PolicyReply<Selection>;
    /// Name, version and state of the configured selector, for status pages.
    fn describe(&self) -> String;
}
