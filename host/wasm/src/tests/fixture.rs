//! Engines and policies that the tests share: compiling takes most of their time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::engine::PolicyEngine;
use crate::load::{LoadError, PolicyChoice, configured, load, prepare};
use crate::policy::Policy;
use crate::ports::{WasmPolicies, WasmSelectors};
use crate::registry::Registry;
use crate::world::World;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("repository")
}

pub(super) fn engine() -> Arc<PolicyEngine> {
    static ENGINE: OnceLock<Arc<PolicyEngine>> = OnceLock::new();
    Arc::clone(ENGINE.get_or_init(|| Arc::new(PolicyEngine::start().expect("engine"))))
}

pub(super) fn default_policy() -> Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY
        .get_or_init(|| unhurried(loaded("builtin:failover-default")))
        .clone()
}

pub(super) fn cautious_policy() -> Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY
        .get_or_init(|| unhurried(loaded("builtin:failover-cautious")))
        .clone()
}

/// The policy that misbehaves as told.
pub(super) fn misbehaving(how: &str) -> Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    let file = root().join("plugins/prebuilt/failover-misbehaving.wasm");
    let policy = POLICY.get_or_init(|| unhurried(loaded(&file.to_string_lossy())));
    with_settings(policy, &serde_json::json!({ "how": how })).expect("settings")
}

fn loaded(plugin: &str) -> Policy {
    load(&engine(), &PolicyChoice::of(plugin), None).expect(plugin)
}

/// On a busy machine a deadline says nothing about a policy; fuel still bounds it.
fn unhurried(mut policy: Policy) -> Policy {
    policy.limits.deadline = std::time::Duration::from_secs(30);
    policy
}

pub(super) fn with_settings(
    policy: &Policy,
    settings: &serde_json::Value,
) -> Result<Policy, LoadError> {
    configured(policy.clone(), settings)
}

/// The policy behind the port, with the built-in default behind it, as in production.
pub(super) fn behind_the_port(policy: Policy) -> WasmPolicies {
    WasmPolicies(Registry::with(engine(), default_policy(), policy))
}

/// The same for a selector.
pub(super) fn selector_behind_the_port(selector: Policy) -> WasmSelectors {
    let fallback = builtin_selector("backend-first");
    WasmSelectors(Registry::with(engine(), fallback, selector))
}

/// A built-in selector with its default settings.
pub(super) fn builtin_selector(name: &'static str) -> Policy {
    static POLICIES: OnceLock<Mutex<BTreeMap<&'static str, Policy>>> = OnceLock::new();
    let mut policies = POLICIES.get_or_init(Mutex::default).lock().expect("lock");
    policies
        .entry(name)
        .or_insert_with(|| unhurried(loaded(&format!("builtin:{name}"))))
        .clone()
}

/// The selector that misbehaves as told.
pub(super) fn misbehaving_selector(how: &str) -> Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    let file = root().join("plugins/prebuilt/backend-misbehaving.wasm");
    let policy = POLICY.get_or_init(|| unhurried(loaded(&file.to_string_lossy())));
    with_settings(policy, &serde_json::json!({ "how": how })).expect("settings")
}

/// Runs one of the port's futures, which wait for nothing.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime")
        .block_on(future)
}

/// A hostile component of `tests/wat`, compiled and linked but not tried out: it would not survive
/// that.
pub(super) fn hostile(name: &str) -> Result<Policy, LoadError> {
    prepare(
        &engine(),
        name,
        &component_of(name),
        Some(World::FailoverPolicy),
    )
    .map(unhurried)
}

pub(super) fn component_of(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/wat")
        .join(format!("{name}.wat"));
    encode(&wat::parse_file(&file).expect(name))
}

/// A component of a core module that was written for the world `failover-policy`.
pub(super) fn encode(core: &[u8]) -> Vec<u8> {
    let mut core = core.to_vec();
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).expect("wit");
    let world = resolve
        .select_world(&[package], Some("failover-policy"))
        .expect("world");
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).expect("embed");
    let encoder = ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .expect("module");
    let mut encoder = encoder;
    encoder.encode().expect("encode")
}
