//! Loading: a component becomes a policy only if it links, accepts its settings and answers two
//! questions sensibly.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::builtin;
use crate::call::{CallFailure, cause};
use crate::engine::PolicyEngine;
use crate::guest::printable;
use crate::limits::{COMPONENT_BYTES_MAX, Limits};
use crate::policy::{Policy, SettingsProblem, Unasked};
use crate::self_check;
use crate::world::{Linked, World};

/// Which policy to use, as the configuration says it.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChoice {
    /// `builtin:NAME` or the path of a component.
    pub plugin: String,
    /// Its settings, a JSON object.
    pub settings: serde_json::Value,
}

impl PolicyChoice {
    /// A choice without settings.
    pub fn of(plugin: impl Into<String>) -> Self {
        Self {
            plugin: plugin.into(),
            settings: serde_json::json!({}),
        }
    }
}

/// Why a policy was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No built-in policy has that name.
    #[error("there is no built-in policy {name:?}; there are {known}")]
    UnknownBuiltin {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The file cannot be read.
    #[error("cannot read the policy {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is too large to be compiled.
    #[error("the policy is {bytes} bytes long; {COMPONENT_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not a WebAssembly component.
    #[error("the policy is not a WebAssembly component but {0}")]
    NotAComponent(&'static str),
    /// It wants a clock, files or a network.
    #[error(
        "the policy imports {import}, and policies get no WASI: build it for wasm32-unknown-unknown (Rust) or with --stub-wasi (JavaScript, Python)"
    )]
    NeedsWasi {
        /// The first such import.
        import: String,
    },
    /// It was built for another version of the contract.
    #[error(
        "the policy is built for {found}; this Baton speaks {}",
        builtin::CONTRACT
    )]
    OtherContract {
        /// The interface it names.
        found: String,
    },
    /// It answers another kind of questions.
    #[error("the policy is made for the world {found}; {} is needed here", .needed.name())]
    OtherWorld {
        /// The world it is made for.
        found: &'static str,
        /// What it is to answer.
        needed: World,
    },
    /// It does not fit the contract or is damaged.
    #[error("the policy cannot be linked: {0}")]
    Unlinkable(String),
    /// The compiler gave up in disorder.
    #[error("the policy makes the compiler fail: {0}")]
    CompilerPanic(String),
    /// It has no name.
    #[error("the policy does not say its name")]
    Nameless,
    /// It misbehaved when it was tried.
    #[error("the policy failed its self-check ({stage}): {failure}")]
    SelfCheck {
        /// What it was asked.
        stage: &'static str,
        /// What happened.
        failure: CallFailure,
        /// What it logged.
        log: Vec<String>,
    },
    /// It refuses its settings.
    #[error("the settings of policy {policy} are wrong: {}", join(.problems))]
    Settings {
        /// The policy's name.
        policy: String,
        /// Everything that is wrong with them.
        problems: Vec<SettingsProblem>,
    },
}

fn join(problems: &[SettingsProblem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Loads what a choice names. `world` is what it must answer; `None` takes whatever it was made
/// for.
pub(crate) fn load(
    engine: &Arc<PolicyEngine>,
    choice: &PolicyChoice,
    world: Option<World>,
) -> Result<Policy, LoadError> {
    let bytes = read(&choice.plugin, world)?;
    let policy = prepare(engine, &choice.plugin, &bytes, world)?;
    try_out(policy, &choice.settings)
}

pub(crate) fn read(
    plugin: &str,
    world: Option<World>,
) -> Result<std::borrow::Cow<'static, [u8]>, LoadError> {
    match plugin.strip_prefix(builtin::PREFIX) {
        Some(name) => match builtin::find(name) {
            Some(bytes) => Ok(bytes.into()),
            None => Err(LoadError::UnknownBuiltin {
                name: name.to_owned(),
                known: builtin::names(world),
            }),
        },
        None => match std::fs::read(plugin) {
            Ok(bytes) => Ok(bytes.into()),
            Err(source) => Err(LoadError::Unreadable {
                path: plugin.into(),
                source,
            }),
        },
    }
}

/// Compiles and links a component, and asks it nothing yet.
pub(crate) fn prepare(
    engine: &Arc<PolicyEngine>,
    origin: &str,
    bytes: &[u8],
    world: Option<World>,
) -> Result<Policy, LoadError> {
    recognise(bytes)?;
    // Bytes from a stranger go through a compiler; if it panics, the policy is refused and the
    // process goes on.
    let linked = catch_unwind(AssertUnwindSafe(|| link(engine, bytes, world)))
        .unwrap_or_else(|panic| Err(LoadError::CompilerPanic(panic_text(&*panic))))?;
    let unasked = Unasked {
        linked,
        limits: Limits::for_component(bytes.len()),
        origin: origin.to_owned(),
        digest: format!("{:x}", Sha256::digest(bytes)),
    };
    Ok(Policy::new(Arc::clone(engine), unasked))
}

fn recognise(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(LoadError::TooLarge { bytes: bytes.len() });
    }
    let kind = match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            "a core module; make a component of it with `cargo xtask plugins` or `wasm-tools component new`"
        }
        [0, b'a', b's', b'm', ..] => "a WebAssembly file of an unknown version",
        [] => "an empty file",
        _ => "something else",
    };
    Err(LoadError::NotAComponent(kind))
}

fn link(engine: &PolicyEngine, bytes: &[u8], needed: Option<World>) -> Result<Linked, LoadError> {
    let unlinkable = |error: wasmtime::Error| LoadError::Unlinkable(full_text(&error));
    let component = engine.compile(bytes).map_err(unlinkable)?;
    refuse_foreign_imports(engine, &component)?;
    let found = World::of(&component, engine.engine());
    let world = match (found, needed) {
        (Some(found), Some(needed)) if found != needed => {
            let found = found.name();
            return Err(LoadError::OtherWorld { found, needed });
        }
        // A component that exports neither says what it lacks when it is linked.
        (found, needed) => needed.or(found).unwrap_or(World::FailoverPolicy),
    };
    engine
        .link(&component)
        .and_then(|pre| world.link(pre))
        .map_err(unlinkable)
}

/// Says in Baton's words what the linker would say in its own.
fn refuse_foreign_imports(engine: &PolicyEngine, component: &Component) -> Result<(), LoadError> {
    for (name, _) in component.component_type().imports(engine.engine()) {
        if name.starts_with("wasi:") {
            return Err(LoadError::NeedsWasi {
                import: printable(name),
            });
        }
        let other = name.starts_with("baton:policy/") && !builtin::is_compatible(name);
        if other {
            return Err(LoadError::OtherContract {
                found: printable(name),
            });
        }
    }
    Ok(())
}

fn full_text(error: &wasmtime::Error) -> String {
    let outer = error.to_string();
    let inner = cause(error);
    if outer == inner {
        inner
    } else {
        format!("{}: {inner}", printable(&outer))
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    printable(
        text.or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("panic"),
    )
}

/// Asks a prepared component who it is, gives it its settings, and asks it questions whose facts
/// are made up. Types that do not fit show only here: linking does not look into the types of
/// exports.
pub(crate) fn try_out(policy: Policy, settings: &serde_json::Value) -> Result<Policy, LoadError> {
    configured(identified(policy)?, settings)
}

/// Asks a prepared component who it is.
pub(crate) fn identified(mut policy: Policy) -> Result<Policy, LoadError> {
    let told = policy.call_metadata();
    policy.identity = told.answer.map_err(|failure| LoadError::SelfCheck {
        stage: "metadata",
        failure,
        log: told.log,
    })?;
    if policy.identity.name.is_empty() {
        return Err(LoadError::Nameless);
    }
    Ok(policy)
}

/// The same policy with other settings.
pub(crate) fn configured(
    mut policy: Policy,
    settings: &serde_json::Value,
) -> Result<Policy, LoadError> {
    policy.settings = settings.to_string();
    let checked = policy.call_configure();
    match checked.answer {
        Err(failure) => {
            return Err(LoadError::SelfCheck {
                stage: "configure",
                failure,
                log: checked.log,
            });
        }
        Ok(problems) if !problems.is_empty() => {
            return Err(LoadError::Settings {
                policy: policy.identity.name.clone(),
                problems,
            });
        }
        Ok(_) => {}
    }
    self_check::run(&policy)?;
    Ok(policy)
}
