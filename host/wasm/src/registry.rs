//! The policies in force, and the port through which they are asked.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use baton_core::policy::{AssessQuestion, Assessment, RankQuestion, Ranking};
use baton_ports::{Policies, PolicyFailure, PolicyReply};

use crate::builtin::DEFAULT_POLICY;
use crate::call::Called;
use crate::engine::{EngineError, PolicyEngine};
use crate::load::{LoadError, PolicyChoice, configured, load};
use crate::policy::Policy;
use crate::question::Question;

/// Deadline of the built-in default. It is trusted and nothing stands behind it, so only a process that hardly gets any time on a
/// processor may exceed this; its work is bounded by fuel like that of all others.
const BUILTIN_DEADLINE: Duration = Duration::from_secs(2);

/// Why the policies could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The policy is refused.
    #[error("cannot load the policy {plugin}")]
    Load {
        /// What the configuration names.
        plugin: String,
        /// Why it is refused.
        #[source]
        source: LoadError,
    },
}

impl StartError {
    /// One line for each thing that is wrong: every setting the policy refuses, or the one reason there is.
    pub fn problems(&self) -> Vec<String> {
        if let Self::Load {
            source: LoadError::Settings { policy, problems },
            ..
        } = self
        {
            return problems
                .iter()
                .map(|problem| format!("{policy}: {problem}"))
                .collect();
        }
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        vec![line]
    }
}

/// The configured policy with the built-in default behind it.
pub struct WasmPolicies {
    engine: Arc<PolicyEngine>,
    /// The default with its default settings: what answers when the configured policy does not.
    fallback: Policy,
    current: RwLock<Arc<Policy>>,
    /// Set by the operator; otherwise the policy's size decides.
    deadline: Option<Duration>,
}

impl WasmPolicies {
    /// Starts the engine and loads the chosen policy. Takes some tenths of a second, as components are compiled.
    ///
    /// # Errors
    /// If the engine cannot start, or the policy is refused: there is no previous one to keep.
    pub fn start(choice: &PolicyChoice) -> Result<Self, StartError> {
        let engine = Arc::new(PolicyEngine::start()?);
        let refused = |plugin: &str, source| StartError::Load {
            plugin: plugin.to_owned(),
            source,
        };
        let mut fallback = load(&engine, &PolicyChoice::of(DEFAULT_POLICY))
            .map_err(|error| refused(DEFAULT_POLICY, error))?;
        fallback.limits.deadline = BUILTIN_DEADLINE;
        let current = load_or_share(&engine, &fallback, choice)
            .map_err(|error| refused(&choice.plugin, error))?;
        Ok(Self::with(engine, fallback, current))
    }

    pub(crate) fn with(engine: Arc<PolicyEngine>, fallback: Policy, current: Policy) -> Self {
        Self {
            engine,
            fallback,
            current: RwLock::new(Arc::new(current)),
            deadline: None,
        }
    }

    /// Replaces the policy in force, or leaves it if the new one is refused. Questions being answered are answered by the old one; no
    /// answer mixes both. Compiles, so call it off the asynchronous runtime.
    ///
    /// # Errors
    /// Says why the new policy is refused.
    pub fn reload(&self, choice: &PolicyChoice) -> Result<Arc<Policy>, LoadError> {
        let loaded = Arc::new(self.check(choice)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
        tracing::info!(
            plugin = loaded.label(),
            origin = loaded.origin(),
            "policy loaded"
        );
        Ok(loaded)
    }

    /// Sets the deadline of one answer for the policy in force and all that follow. The built-in default keeps its own: nothing stands
    /// behind it.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        let current = self.hurried(Policy::clone(&self.current()));
        self.current = RwLock::new(Arc::new(current));
        self
    }

    fn hurried(&self, mut policy: Policy) -> Policy {
        if let Some(deadline) = self.deadline.filter(|_| policy.origin() != DEFAULT_POLICY) {
            policy.limits.deadline = deadline;
        }
        policy
    }

    /// Loads a policy, with all checks, without putting it in force.
    ///
    /// # Errors
    /// Says why the policy is refused.
    pub fn check(&self, choice: &PolicyChoice) -> Result<Policy, LoadError> {
        load_or_share(&self.engine, &self.fallback, choice).map(|policy| self.hurried(policy))
    }

    /// The policy in force.
    pub fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn ask<Q: Question>(&self, question: &Q) -> PolicyReply<Q::Answer> {
        let begun = Instant::now();
        let policy = self.current();
        let Called {
            answer,
            log,
            fuel: _,
        } = call(&policy, question.to_contract(), Q::call).await;
        match answer.and_then(|answer| question.accept(answer)) {
            Ok(answer) => PolicyReply {
                answer,
                policy: policy.label(),
                fallback: None,
                took: begun.elapsed(),
                log,
            },
            Err(failure) => {
                tracing::warn!(
                    plugin = policy.label(),
                    question = Q::NAME,
                    kind = failure.kind(),
                    error = %failure,
                    log = ?log,
                    "policy failed and the built-in default answers"
                );
                self.fall_back(question, failure.of(&policy.label()), log, begun)
            }
        }
    }

    fn fall_back<Q: Question>(
        &self,
        question: &Q,
        failure: PolicyFailure,
        mut log: Vec<String>,
        begun: Instant,
    ) -> PolicyReply<Q::Answer> {
        let called = Q::call(&self.fallback, &question.to_contract());
        log.extend(called.log);
        let (answer, policy) = match called.answer.and_then(|answer| question.accept(answer)) {
            Ok(answer) => (answer, self.fallback.label()),
            Err(second) => {
                tracing::error!(error = %second, question = Q::NAME, "built-in policy failed");
                (question.without_policy(), "none".to_owned())
            }
        };
        PolicyReply {
            answer,
            policy,
            fallback: Some(failure),
            took: begun.elapsed(),
            log,
        }
    }
}

/// The compiled default is shared if the choice is the default with other settings.
fn load_or_share(
    engine: &Arc<PolicyEngine>,
    fallback: &Policy,
    choice: &PolicyChoice,
) -> Result<Policy, LoadError> {
    if choice.plugin == DEFAULT_POLICY {
        configured(fallback.clone(), &choice.settings)
    } else {
        load(engine, choice)
    }
}

/// Policies in compiled languages answer faster than a task can be handed over; others get a thread of their own, if there is a
/// runtime that has one.
async fn call<C: Send + 'static, R: Send + 'static>(
    policy: &Arc<Policy>,
    question: C,
    ask: fn(&Policy, &C) -> Called<R>,
) -> Called<R> {
    if !policy.is_heavy() || tokio::runtime::Handle::try_current().is_err() {
        return ask(policy, &question);
    }
    let policy = Arc::clone(policy);
    match tokio::task::spawn_blocking(move || ask(&policy, &question)).await {
        Ok(called) => called,
        Err(error) => Called {
            answer: Err(crate::call::CallFailure::Trap(error.to_string())),
            log: Vec::new(),
            fuel: 0,
        },
    }
}

#[async_trait]
impl Policies for WasmPolicies {
    async fn assess(&self, question: &AssessQuestion) -> PolicyReply<Assessment> {
        self.ask(question).await
    }

    async fn rank(&self, question: &RankQuestion) -> PolicyReply<Ranking> {
        self.ask(question).await
    }

    fn describe(&self) -> String {
        let policy = self.current();
        format!("{} ({})", policy.label(), policy.origin())
    }
}
