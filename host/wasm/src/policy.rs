//! One loaded policy: linked, configured, ready to be asked.

use std::sync::Arc;

use serde::Serialize;

use crate::bindings::backend::selector;
use crate::bindings::failover;
use crate::call::{CallFailure, Called, in_fresh_instance};
use crate::engine::PolicyEngine;
use crate::guest::{Guest, printable};
use crate::limits::Limits;
use crate::world::{Instance, Linked, World};

/// Loading sees to it that this is never said.
const NOT_FOR_THIS: &str = "a component of its world has no such question";

/// What a policy says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Name, kebab-case.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// One line for people.
    pub description: String,
    /// JSON Schema of its settings.
    pub settings_schema: String,
    /// Costly facts it reads: `gtid-text`, `tags`, `vitals`.
    pub wants: Vec<String>,
}

/// One thing wrong with the settings of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingsProblem {
    /// JSON pointer to the place, empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, message } = self;
        if path.is_empty() {
            f.write_str(message)
        } else {
            write!(f, "{path}: {message}")
        }
    }
}

/// A policy that can be asked. Cheap to clone; every call gets an instance of its own.
#[derive(Clone)]
pub struct Policy {
    engine: Arc<PolicyEngine>,
    linked: Linked,
    pub(crate) limits: Limits,
    pub(crate) settings: String,
    pub(crate) identity: Identity,
    /// Where it came from: `builtin:NAME` or a path.
    pub(crate) origin: String,
    /// SHA-256 of the component, hexadecimal.
    pub(crate) digest: String,
}

/// What is known of a component before it has been asked anything.
pub(crate) struct Unasked {
    pub(crate) linked: Linked,
    pub(crate) limits: Limits,
    pub(crate) origin: String,
    pub(crate) digest: String,
}

impl Policy {
    pub(crate) fn new(engine: Arc<PolicyEngine>, unasked: Unasked) -> Self {
        let Unasked {
            linked,
            limits,
            origin,
            digest,
        } = unasked;
        let settings = "{}".to_owned();
        Self {
            engine,
            linked,
            limits,
            settings,
            identity: Identity::default(),
            origin,
            digest,
        }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it answers.
    pub fn world(&self) -> World {
        self.linked.world()
    }

    /// Names of what the component imports and exports.
    pub(crate) fn interfaces(&self) -> (Vec<String>, Vec<String>) {
        let shape = self.linked.component().component_type();
        let engine = self.engine.engine();
        let imports = shape.imports(engine).map(|(name, _)| name.to_owned());
        let exports = shape.exports(engine).map(|(name, _)| name.to_owned());
        (imports.collect(), exports.collect())
    }

    /// `name@version`.
    pub fn label(&self) -> String {
        format!("{}@{}", self.identity.name, self.identity.version)
    }

    /// SHA-256 of the component, hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Where it came from: `builtin:NAME` or a path.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The settings in force, as JSON.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// Whether a call may take so long that it must not run on a thread of the asynchronous
    /// runtime.
    pub(crate) fn is_heavy(&self) -> bool {
        self.limits.memory > Limits::LIGHT.memory
    }

    pub(crate) fn call_metadata(&self) -> Called<Identity> {
        self.fresh(0, |store, instance| Ok(Ok(instance.metadata(store)?)))
    }

    /// Lets the policy validate settings in a throw-away instance.
    pub(crate) fn call_configure(&self) -> Called<Vec<SettingsProblem>> {
        self.fresh(0, |store, instance| {
            Ok(Ok(instance.configure(store, &self.settings)?))
        })
    }

    pub(crate) fn call_assess(
        &self,
        question: &failover::AssessQuestion,
    ) -> Called<failover::Assessment> {
        self.ask(question.cluster.servers.len(), |store, instance| {
            let Instance::FailoverPolicy(policy) = instance else {
                return Ok(Err(NOT_FOR_THIS.to_owned()));
            };
            policy.baton_policy_failover().call_assess(store, question)
        })
    }

    pub(crate) fn call_rank(&self, question: &failover::RankQuestion) -> Called<failover::Ranking> {
        self.ask(question.cluster.servers.len(), |store, instance| {
            let Instance::FailoverPolicy(policy) = instance else {
                return Ok(Err(NOT_FOR_THIS.to_owned()));
            };
            policy.baton_policy_failover().call_rank(store, question)
        })
    }

    pub(crate) fn call_select(
        &self,
        question: &selector::SelectQuestion,
    ) -> Called<selector::Selection> {
        self.ask(question.nodes.len(), |store, instance| {
            let Instance::BackendSelector(policy) = instance else {
                return Ok(Err(NOT_FOR_THIS.to_owned()));
            };
            policy.baton_policy_selector().call_select(store, question)
        })
    }

    fn fresh<T>(
        &self,
        size: usize,
        ask: impl FnOnce(
            &mut wasmtime::Store<Guest>,
            &Instance,
        ) -> wasmtime::Result<Result<T, CallFailure>>,
    ) -> Called<T> {
        in_fresh_instance(&self.engine, &self.linked, &self.limits, size, ask)
    }

    fn ask<T>(
        &self,
        size: usize,
        question: impl FnOnce(
            &mut wasmtime::Store<Guest>,
            &Instance,
        ) -> wasmtime::Result<Result<T, String>>,
    ) -> Called<T> {
        self.fresh(size, |store, instance| {
            let problems = instance.configure(&mut *store, &self.settings)?;
            if !problems.is_empty() {
                // The same settings were accepted when the policy was loaded.
                let text = format!(
                    "it now refuses its settings with {} problems",
                    problems.len()
                );
                return Ok(Err(CallFailure::Declined(text)));
            }
            let answer = question(store, instance)?;
            Ok(answer.map_err(|text| CallFailure::Declined(printable(&text))))
        })
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("policy", &self.label())
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
