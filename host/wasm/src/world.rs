//! The two worlds of the contract, and the little in which a component of one differs from a
//! component of the other.

use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};

use crate::bindings::backend::{self, BackendSelector, BackendSelectorPre};
use crate::bindings::{FailoverPolicy, FailoverPolicyPre, plugin};
use crate::guest::{Guest, printable};
use crate::policy::{Identity, SettingsProblem};

/// A world of the contract: what kind of questions a component answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Whether to act and who takes over.
    FailoverPolicy,
    /// Which backend node to use.
    BackendSelector,
}

impl World {
    const ALL: [Self; 2] = [Self::FailoverPolicy, Self::BackendSelector];

    /// Its name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::FailoverPolicy => "failover-policy",
            Self::BackendSelector => "backend-selector",
        }
    }

    /// The interface that only components of this world export.
    fn interface(self) -> &'static str {
        match self {
            Self::FailoverPolicy => "baton:policy/failover@",
            Self::BackendSelector => "baton:policy/selector@",
        }
    }

    /// The world that a component was made for, by what it exports.
    pub(crate) fn of(component: &Component, engine: &wasmtime::Engine) -> Option<Self> {
        let shape = component.component_type();
        let exported = |world: &Self| {
            shape
                .exports(engine)
                .any(|(name, _)| name.starts_with(world.interface()))
        };
        Self::ALL.into_iter().find(exported)
    }

    pub(crate) fn link(self, pre: InstancePre<Guest>) -> wasmtime::Result<Linked> {
        Ok(match self {
            Self::FailoverPolicy => Linked::FailoverPolicy(FailoverPolicyPre::new(pre)?),
            Self::BackendSelector => Linked::BackendSelector(BackendSelectorPre::new(pre)?),
        })
    }
}

/// A component that can be instantiated.
#[derive(Clone)]
pub(crate) enum Linked {
    FailoverPolicy(FailoverPolicyPre<Guest>),
    BackendSelector(BackendSelectorPre<Guest>),
}

/// One instance, good for one call.
pub(crate) enum Instance {
    FailoverPolicy(FailoverPolicy),
    BackendSelector(BackendSelector),
}

impl Linked {
    pub(crate) fn world(&self) -> World {
        match self {
            Self::FailoverPolicy(_) => World::FailoverPolicy,
            Self::BackendSelector(_) => World::BackendSelector,
        }
    }

    pub(crate) fn component(&self) -> &Component {
        match self {
            Self::FailoverPolicy(pre) => pre.instance_pre().component(),
            Self::BackendSelector(pre) => pre.instance_pre().component(),
        }
    }

    pub(crate) fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Instance> {
        Ok(match self {
            Self::FailoverPolicy(pre) => Instance::FailoverPolicy(pre.instantiate(store)?),
            Self::BackendSelector(pre) => Instance::BackendSelector(pre.instantiate(store)?),
        })
    }
}

/// `plugin.identity` and `plugin.settings-problem` are one interface in the contract and, as each
/// world exports it, two sets of types.
macro_rules! plugin_types {
    ($plugin:ident) => {
        impl From<$plugin::Identity> for Identity {
            fn from(told: $plugin::Identity) -> Self {
                let $plugin::Identity {
                    name,
                    version,
                    description,
                    settings_schema,
                    wants,
                    extra: _,
                } = told;
                Self {
                    name: printable(&name),
                    version: printable(&version),
                    description: printable(&description),
                    settings_schema,
                    wants,
                }
            }
        }

        impl From<$plugin::SettingsProblem> for SettingsProblem {
            fn from(problem: $plugin::SettingsProblem) -> Self {
                let $plugin::SettingsProblem { path, message } = problem;
                Self {
                    path: printable(&path),
                    message: printable(&message),
                }
            }
        }
    };
}

use backend::plugin as backend_plugin;
plugin_types!(plugin);
plugin_types!(backend_plugin);

impl Instance {
    pub(crate) fn metadata(&self, store: &mut Store<Guest>) -> wasmtime::Result<Identity> {
        Ok(match self {
            Self::FailoverPolicy(it) => it.baton_policy_plugin().call_metadata(store)?.into(),
            Self::BackendSelector(it) => it.baton_policy_plugin().call_metadata(store)?.into(),
        })
    }

    /// What is wrong with the settings, if anything.
    pub(crate) fn configure(
        &self,
        store: &mut Store<Guest>,
        settings: &str,
    ) -> wasmtime::Result<Vec<SettingsProblem>> {
        Ok(match self {
            Self::FailoverPolicy(it) => {
                problems(it.baton_policy_plugin().call_configure(store, settings)?)
            }
            Self::BackendSelector(it) => {
                problems(it.baton_policy_plugin().call_configure(store, settings)?)
            }
        })
    }
}

fn problems<P: Into<SettingsProblem>>(verdict: Result<(), Vec<P>>) -> Vec<SettingsProblem> {
    let refused = verdict.err().unwrap_or_default();
    refused.into_iter().map(Into::into).collect()
}
