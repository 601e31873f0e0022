//! The policy in force of one world, with the built-in default of that world behind it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use baton_ports::{PolicyFailure, PolicyReply};

use crate::builtin;
use crate::call::Called;
use crate::engine::PolicyEngine;
use crate::load::{LoadError, PolicyChoice, configured, load};
use crate::policy::Policy;
use crate::question::Question;
use crate::start::StartError;
use crate::world::World;

/// Deadline of the built-in default. It is trusted and nothing stands behind it, so only a process
/// that hardly gets any time on a processor may exceed this; its work is bounded by fuel like that
/// of all others.
const BUILTIN_DEADLINE: Duration = Duration::from_secs(2);

/// The configured policy with the built-in default behind it.
pub(crate) struct Registry {
    engine: Arc<PolicyEngine>,
    /// The default with its default settings: what answers when the configured policy does not.
    fallback: Policy,
    current: RwLock<Arc<Policy>>,
    /// Set by the operator; otherwise the policy's size decides.
    deadline: Option<Duration>,
}

impl Registry {
    /// Loads the default of that world and the chosen policy.
    pub(crate) fn start(
        engine: Arc<PolicyEngine>,
        world: World,
        choice: &PolicyChoice,
    ) -> Result<Self, StartError> {
        let refused = |plugin: &str, source| StartError::Load {
            plugin: plugin.to_owned(),
            source,
        };
        let default = builtin::default_of(world);
        let mut fallback = load(&engine, &PolicyChoice::of(default), Some(world))
            .map_err(|error| refused(default, error))?;
        fallback.limits.deadline = BUILTIN_DEADLINE;
        let current = load_or_share(&engine, &fallback, choice)
            .map_err(|error| refused(&choice.plugin, error))?;
        Ok(Self::with(engine, fallback, current))
    }

    pub(crate) fn engine(&self) -> &Arc<PolicyEngine> {
        &self.engine
    }

    pub(crate) fn with(engine: Arc<PolicyEngine>, fallback: Policy, current: Policy) -> Self {
        Self {
            engine,
            fallback,
            current: RwLock::new(Arc::new(current)),
            deadline: None,
        }
    }

    pub(crate) fn reload(&self, choice: &PolicyChoice) -> Result<Arc<Policy>, LoadError> {
        let loaded = Arc::new(self.check(choice)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
        tracing::info!(
            plugin = loaded.label(),
            origin = loaded.origin(),
            "policy loaded"
        );
        Ok(loaded)
    }

    pub(crate) fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        let current = self.hurried(Policy::clone(&self.current()));
        self.current = RwLock::new(Arc::new(current));
        self
    }

    fn hurried(&self, mut policy: Policy) -> Policy {
        if let Some(deadline) = self
            .deadline
            .filter(|_| policy.origin() != self.fallback.origin())
        {
            policy.limits.deadline = deadline;
        }
        policy
    }

    pub(crate) fn check(&self, choice: &PolicyChoice) -> Result<Policy, LoadError> {
        load_or_share(&self.engine, &self.fallback, choice).map(|policy| self.hurried(policy))
    }

    pub(crate) fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn ask<Q: Question>(&self, question: &Q) -> PolicyReply<Q::Answer> {
        let begun = Instant::now();
        let policy = self.current();
        let Called {
            answer,
            log,
            fuel: _,
        } = call(
            &policy,
            question.to_contract(&policy.identity().wants),
            Q::call,
        )
        .await;
        match answer.and_then(|answer| question.accept(answer)) {
            Ok(answer) => PolicyReply {
                answer,
                policy: policy.label(),
                fallback: None,
                took: begun.elapsed(),
                log,
            },
            Err(failure) => {
                // Whoever asked tells people, and not again with each question.
                tracing::debug!(
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

    /// Name, version and origin of the policy in force.
    pub(crate) fn describe(&self) -> String {
        let policy = self.current();
        format!("{} ({})", policy.label(), policy.origin())
    }

    fn fall_back<Q: Question>(
        &self,
        question: &Q,
        failure: PolicyFailure,
        mut log: Vec<String>,
        begun: Instant,
    ) -> PolicyReply<Q::Answer> {
        let called = Q::call(
            &self.fallback,
            &question.to_contract(&self.fallback.identity().wants),
        );
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
    if choice.plugin == fallback.origin() {
        configured(fallback.clone(), &choice.settings)
    } else {
        load(engine, choice, Some(fallback.world()))
    }
}

/// Policies in compiled languages answer faster than a task can be handed over; others get a thread
/// of their own, if there is a runtime that has one.
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
