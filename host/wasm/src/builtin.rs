//! The policies that come with Baton, prebuilt so that building Baton needs no WebAssembly compiler.

/// The contract this Baton speaks.
pub(crate) const CONTRACT: &str = "baton:policy@0.1";

/// What marks a built-in policy in the configuration.
pub(crate) const PREFIX: &str = "builtin:";

/// The policy that answers if nothing else is configured, and for every policy that fails.
pub const DEFAULT_POLICY: &str = "builtin:failover-default";

const POLICIES: &[(&str, &[u8])] = &[
    (
        "failover-default",
        include_bytes!("../../../plugins/prebuilt/failover-default.wasm"),
    ),
    (
        "failover-cautious",
        include_bytes!("../../../plugins/prebuilt/failover-cautious.wasm"),
    ),
];

pub(crate) fn find(name: &str) -> Option<&'static [u8]> {
    POLICIES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
}

pub(crate) fn names() -> String {
    POLICIES
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Whether an import such as `baton:policy/log@0.1.3` is of this contract: below 1.0 the minor number counts.
pub(crate) fn is_compatible(import: &str) -> bool {
    import
        .rsplit_once('@')
        .is_some_and(|(_, version)| version.starts_with("0.1."))
}
