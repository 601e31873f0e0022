//! The policies that come with Baton, prebuilt so that building Baton needs no WebAssembly
//! compiler.

use crate::world::World;

/// The contract this Baton speaks.
pub(crate) const CONTRACT: &str = "baton:policy@0.1";

/// What marks a built-in policy in the configuration.
pub(crate) const PREFIX: &str = "builtin:";

/// The policy that answers if nothing else is configured, and for every policy that fails.
pub const DEFAULT_POLICY: &str = "builtin:failover-default";

/// The same for backend selectors.
pub const DEFAULT_SELECTOR: &str = "builtin:backend-first";

struct Builtin {
    name: &'static str,
    world: World,
    component: &'static [u8],
}

macro_rules! builtin {
    ($world:ident, $name:literal) => {
        Builtin {
            name: $name,
            world: World::$world,
            component: include_bytes!(concat!("../../../plugins/prebuilt/", $name, ".wasm")),
        }
    };
}

const BUILTINS: &[Builtin] = &[
    builtin!(FailoverPolicy, "failover-default"),
    builtin!(FailoverPolicy, "failover-cautious"),
    builtin!(BackendSelector, "backend-first"),
    builtin!(BackendSelector, "backend-prefer-synchronous"),
    builtin!(BackendSelector, "backend-nearest"),
];

/// What answers if nothing else is configured.
pub(crate) fn default_of(world: World) -> &'static str {
    match world {
        World::FailoverPolicy => DEFAULT_POLICY,
        World::BackendSelector => DEFAULT_SELECTOR,
    }
}

/// The component of that name, whatever its world: a wrong one is refused with better words when it
/// is linked.
pub(crate) fn find(name: &str) -> Option<&'static [u8]> {
    BUILTINS
        .iter()
        .find(|builtin| builtin.name == name)
        .map(|builtin| builtin.component)
}

/// Those of a world, or all.
pub(crate) fn names(world: Option<World>) -> String {
    BUILTINS
        .iter()
        .filter(|builtin| world.is_none_or(|world| builtin.world == world))
        .map(|builtin| builtin.name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Whether an import such as `baton:policy/log@0.1.3` is of this contract: below 1.0 the minor
/// number counts.
pub(crate) fn is_compatible(import: &str) -> bool {
    import
        .rsplit_once('@')
        .is_some_and(|(_, version)| version.starts_with("0.1."))
}
