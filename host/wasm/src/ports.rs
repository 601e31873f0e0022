//! The two ports, each a [`Registry`] of its world.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use baton_core::policy::backend::{SelectQuestion, Selection};
use baton_core::policy::{AssessQuestion, Assessment, RankQuestion, Ranking};
use baton_ports::{Policies, PolicyReply, Selectors};

use crate::engine::PolicyEngine;
use crate::load::{LoadError, PolicyChoice};
use crate::policy::Policy;
use crate::registry::Registry;
use crate::start::StartError;
use crate::world::World;

/// The configured failover policy with the built-in default behind it.
pub struct WasmPolicies(pub(crate) Registry);

/// The configured backend selector with the built-in `backend-first` behind it, and the core's own
/// rule behind both.
pub struct WasmSelectors(pub(crate) Registry);

impl WasmPolicies {
    /// Starts the engine and loads the chosen policy. Takes some tenths of a second, as components
    /// are compiled.
    ///
    /// # Errors
    /// If the engine cannot start, or the policy is refused: there is no previous one to keep.
    pub fn start(choice: &PolicyChoice) -> Result<Self, StartError> {
        let engine = Arc::new(PolicyEngine::start()?);
        Registry::start(engine, World::FailoverPolicy, choice).map(Self)
    }
}

impl WasmSelectors {
    /// Starts an engine of its own and loads the chosen selector. Takes some tenths of a second, as
    /// components are compiled.
    ///
    /// # Errors
    /// If the engine cannot start, or the selector is refused: there is no previous one to keep.
    pub fn start(choice: &PolicyChoice) -> Result<Self, StartError> {
        let engine = Arc::new(PolicyEngine::start()?);
        Registry::start(engine, World::BackendSelector, choice).map(Self)
    }

    /// As [`WasmSelectors::start`], in the engine of the failover policies: one ticker thread and
    /// one pool of instances for both.
    ///
    /// # Errors
    /// If the selector is refused.
    pub fn beside(policies: &WasmPolicies, choice: &PolicyChoice) -> Result<Self, StartError> {
        let engine = Arc::clone(policies.0.engine());
        Registry::start(engine, World::BackendSelector, choice).map(Self)
    }
}

/// What both do alike.
macro_rules! keeps_a_policy_in_force {
    ($port:ident) => {
        impl $port {
            /// Replaces the one in force, or leaves it if the new one is refused. Questions being
            /// answered are answered by the old one; no answer mixes both. Compiles, so call it off
            /// the asynchronous runtime.
            ///
            /// # Errors
            /// Says why the new one is refused.
            pub fn reload(&self, choice: &PolicyChoice) -> Result<Arc<Policy>, LoadError> {
                self.0.reload(choice)
            }

            /// Sets the deadline of one answer for the one in force and all that follow. The
            /// built-in default keeps its own: nothing stands behind it.
            #[must_use]
            pub fn with_deadline(self, deadline: Duration) -> Self {
                Self(self.0.with_deadline(deadline))
            }

            /// Loads with all checks, without putting it in force.
            ///
            /// # Errors
            /// Says why it is refused.
            pub fn check(&self, choice: &PolicyChoice) -> Result<Policy, LoadError> {
                self.0.check(choice)
            }

            /// The one in force.
            pub fn current(&self) -> Arc<Policy> {
                self.0.current()
            }
        }
    };
}

keeps_a_policy_in_force!(WasmPolicies);
keeps_a_policy_in_force!(WasmSelectors);

#[async_trait]
impl Policies for WasmPolicies {
    async fn assess(&self, question: &AssessQuestion) -> PolicyReply<Assessment> {
        self.0.ask(question).await
    }

    async fn rank(&self, question: &RankQuestion) -> PolicyReply<Ranking> {
        self.0.ask(question).await
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[async_trait]
impl Selectors for WasmSelectors {
    async fn select(&self, question: &SelectQuestion) -> PolicyReply<Selection> {
        self.0.ask(question).await
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}
