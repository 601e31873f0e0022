//! Looking at components without a running Baton: for the command line and for authors.

use std::sync::Arc;

use crate::engine::PolicyEngine;
use crate::guest::printable;
use crate::load::{LoadError, PolicyChoice, identified, load, prepare, read};
use crate::policy::{Identity, Policy};
use crate::start::StartError;
use crate::world::World;

/// What a component says and shows.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What it answers.
    pub world: World,
    /// What it says of itself.
    pub identity: Identity,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// Size of the component.
    pub bytes: usize,
    /// Interfaces it imports.
    pub imports: Vec<String>,
    /// Interfaces it exports.
    pub exports: Vec<String>,
}

/// Compiles and links a component of either world and asks it who it is. Its settings may be
/// unknown, so nothing else is asked.
///
/// # Errors
/// If it cannot be read, does not link, or fails to say who it is.
pub fn inspect(plugin: &str) -> Result<Inspection, StartError> {
    let engine = Arc::new(PolicyEngine::start()?);
    inspected(&engine, plugin).map_err(|source| StartError::Load {
        plugin: plugin.to_owned(),
        source,
    })
}

fn inspected(engine: &Arc<PolicyEngine>, plugin: &str) -> Result<Inspection, LoadError> {
    let bytes = read(plugin, None)?;
    let policy = identified(prepare(engine, plugin, &bytes, None)?)?;
    let (imports, exports) = policy.interfaces();
    let names = |list: Vec<String>| list.iter().map(|name| printable(name)).collect();
    Ok(Inspection {
        world: policy.world(),
        identity: policy.identity().clone(),
        digest: policy.digest().to_owned(),
        bytes: bytes.len(),
        imports: names(imports),
        exports: names(exports),
    })
}

/// Loads a component of either world with all checks: settings, and the questions of the
/// self-check.
///
/// # Errors
/// Says why it is refused.
pub fn check(choice: &PolicyChoice) -> Result<Policy, StartError> {
    let engine = Arc::new(PolicyEngine::start()?);
    load(&engine, choice, None).map_err(|source| StartError::Load {
        plugin: choice.plugin.clone(),
        source,
    })
}
