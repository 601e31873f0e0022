//! One loaded policy: linked, configured, ready to be asked.

use std::sync::Arc;

use serde::Serialize;

use crate::bindings::{FailoverPolicy, FailoverPolicyPre, failover, plugin};
use crate::call::{CallFailure, Called, in_fresh_instance};
use crate::engine::PolicyEngine;
use crate::guest::{Guest, printable};
use crate::limits::Limits;

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
    pre: FailoverPolicyPre<Guest>,
    pub(crate) limits: Limits,
    pub(crate) settings: String,
    pub(crate) identity: Identity,
    /// Where it came from: `builtin:NAME` or a path.
    pub(crate) origin: String,
    /// SHA-256 of the component, hexadecimal.
    pub(crate) digest: String,
}

/// What is known of a component before it has been asked anything.
pub(crate) struct Linked {
    pub(crate) pre: FailoverPolicyPre<Guest>,
    pub(crate) limits: Limits,
    pub(crate) origin: String,
    pub(crate) digest: String,
}

impl Policy {
    pub(crate) fn new(engine: Arc<PolicyEngine>, linked: Linked) -> Self {
        let Linked {
            pre,
            limits,
            origin,
            digest,
        } = linked;
        let settings = "{}".to_owned();
        Self {
            engine,
            pre,
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

    /// Whether a call may take so long that it must not run on a thread of the asynchronous runtime.
    pub(crate) fn is_heavy(&self) -> bool {
        self.limits.memory > Limits::LIGHT.memory
    }

    pub(crate) fn call_metadata(&self) -> Called<Identity> {
        in_fresh_instance(&self.engine, &self.pre, &self.limits, 0, |store, policy| {
            let told = policy.baton_policy_plugin().call_metadata(store)?;
            let plugin::Identity {
                name,
                version,
                description,
                settings_schema,
                wants,
                extra: _,
            } = told;
            Ok(Ok(Identity {
                name: printable(&name),
                version: printable(&version),
                description: printable(&description),
                settings_schema,
                wants,
            }))
        })
    }

    /// Lets the policy validate settings in a throw-away instance.
    pub(crate) fn call_configure(&self) -> Called<Vec<SettingsProblem>> {
        in_fresh_instance(&self.engine, &self.pre, &self.limits, 0, |store, policy| {
            let verdict = policy
                .baton_policy_plugin()
                .call_configure(store, &self.settings)?;
            let problem = |problem: plugin::SettingsProblem| {
                let plugin::SettingsProblem { path, message } = problem;
                SettingsProblem {
                    path: printable(&path),
                    message: printable(&message),
                }
            };
            let problems = verdict.err().unwrap_or_default();
            Ok(Ok(problems.into_iter().map(problem).collect()))
        })
    }

    pub(crate) fn call_assess(
        &self,
        question: &failover::AssessQuestion,
    ) -> Called<failover::Assessment> {
        self.ask(question.cluster.servers.len(), |store, policy| {
            policy.baton_policy_failover().call_assess(store, question)
        })
    }

    pub(crate) fn call_rank(&self, question: &failover::RankQuestion) -> Called<failover::Ranking> {
        self.ask(question.cluster.servers.len(), |store, policy| {
            policy.baton_policy_failover().call_rank(store, question)
        })
    }

    fn ask<T>(
        &self,
        servers: usize,
        question: impl FnOnce(
            &mut wasmtime::Store<Guest>,
            &FailoverPolicy,
        ) -> wasmtime::Result<Result<T, String>>,
    ) -> Called<T> {
        in_fresh_instance(
            &self.engine,
            &self.pre,
            &self.limits,
            servers,
            |store, policy| {
                let plugin = policy.baton_policy_plugin();
                if let Err(problems) = plugin.call_configure(&mut *store, &self.settings)? {
                    // The same settings were accepted when the policy was loaded.
                    let text = format!(
                        "it now refuses its settings with {} problems",
                        problems.len()
                    );
                    return Ok(Err(CallFailure::Declined(text)));
                }
                let answer = question(store, policy)?;
                Ok(answer.map_err(|text| CallFailure::Declined(printable(&text))))
            },
        )
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
