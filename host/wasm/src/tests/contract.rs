//! The contract's files, and the components prebuilt from them.

use wasmparser::{Parser, Payload};
use wit_parser::Resolve;

use super::fixture::root;

#[path = "../../../../xtask/src/plugins/sources.rs"]
mod sources;

const PREBUILT: &[&str] = &[
    "backend-first",
    "backend-misbehaving",
    "backend-nearest",
    "backend-prefer-synchronous",
    "failover-cautious",
    "failover-default",
    "failover-misbehaving",
];

fn prebuilt(name: &str) -> Vec<u8> {
    std::fs::read(root().join("plugins/prebuilt").join(format!("{name}.wasm"))).expect(name)
}

/// A component holds modules with sections of their own, hence the depth.
fn sources_section(bytes: &[u8]) -> Option<String> {
    let mut depth = 0u32;
    let mut found = None;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.expect("valid") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            Payload::CustomSection(section) if depth == 0 && section.name() == "baton:sources" => {
                found = Some(String::from_utf8_lossy(section.data()).into_owned());
            }
            _ => {}
        }
    }
    found
}

#[test]
fn prebuilt_policies_are_built_from_these_sources() {
    for name in PREBUILT {
        let expected = sources::digest(&root(), name).expect("sources");
        assert_eq!(
            sources_section(&prebuilt(name)),
            Some(expected),
            "plugins/prebuilt/{name}.wasm is stale: run `cargo xtask plugins` and commit the result"
        );
    }
}

#[test]
fn prebuilt_policies_do_not_tell_where_they_were_built() {
    for name in PREBUILT {
        let text = String::from_utf8_lossy(&prebuilt(name)).into_owned();
        for trace in ["/root/", "/home/", "/Users/", "/work/", "index.crates.io"] {
            assert!(!text.contains(trace), "{name} contains {trace}");
        }
    }
}

#[test]
fn everything_in_the_contract_is_documented() {
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit")).expect("wit parses");
    let mut bare = Vec::new();
    for (_, interface) in &resolve.interfaces {
        let name = interface.name.clone().unwrap_or_default();
        if interface.docs.is_empty() {
            bare.push(name.clone());
        }
        for (function, item) in &interface.functions {
            if item.docs.is_empty() {
                bare.push(format!("{name}.{function}"));
            }
        }
        for (type_name, id) in &interface.types {
            let item = resolve.types.get(*id).expect("type");
            // A name taken over by `use` is documented where it is defined.
            let used = matches!(
                item.kind,
                wit_parser::TypeDefKind::Type(wit_parser::Type::Id(_))
            );
            if item.docs.is_empty() && !used {
                bare.push(format!("{name}.{type_name}"));
            }
        }
    }
    for (_, world) in &resolve.worlds {
        if world.docs.is_empty() {
            bare.push(world.name.clone());
        }
    }
    assert!(bare.is_empty(), "without documentation: {bare:?}");
}

/// JavaScript engines disagree on 64-bit integers, so the contract has none.
#[test]
fn the_contract_has_no_64_bit_integers() {
    for entry in std::fs::read_dir(root().join("wit")).expect("wit") {
        let path = entry.expect("entry").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("///"));
        assert!(
            !code
                .clone()
                .any(|line| line.contains("u64") || line.contains("s64")),
            "{path:?}"
        );
    }
}
