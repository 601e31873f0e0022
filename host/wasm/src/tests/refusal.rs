//! What is refused at load, and in which words.

use super::fixture::{component_of, encode, engine, misbehaving, root};
use crate::World;
use crate::load::{LoadError, PolicyChoice, load, prepare, try_out};

const FAILOVER: Option<World> = Some(World::FailoverPolicy);

fn refused(bytes: &[u8]) -> String {
    prepare(&engine(), "test", bytes, FAILOVER)
        .expect_err("must be refused")
        .to_string()
}

fn policy_bytes() -> Vec<u8> {
    std::fs::read(root().join("plugins/prebuilt/failover-default.wasm")).expect("prebuilt")
}

/// A component with one import and nothing else.
fn importing(name: &str) -> Vec<u8> {
    wat::parse_str(format!(
        "(component (import \"{name}\" (instance (export \"f\" (func)))))"
    ))
    .expect("wat")
}

#[test]
fn files_that_are_no_components() {
    let core = wat::parse_str("(module)").expect("wat");
    assert!(
        refused(&core).contains("a core module"),
        "{}",
        refused(&core)
    );
    assert_eq!(
        refused(b""),
        "the policy is not a WebAssembly component but an empty file"
    );
    assert!(refused(b"#!/bin/sh\n").contains("but something else"));
    assert!(refused(b"\0asm\x0d\0").contains("unknown version"));
    assert!(refused(&vec![0; (32 << 20) + 1]).contains("33554433 bytes long"));
}

#[test]
fn damaged_components() {
    let bytes = policy_bytes();
    let cut = refused(bytes.get(..bytes.len() / 2).expect("half"));
    assert!(cut.starts_with("the policy cannot be linked: "), "{cut}");
    let mut flipped = bytes;
    let middle = flipped.len() / 2;
    flipped
        .get_mut(middle..middle + 64)
        .expect("middle")
        .fill(0xff);
    let flipped = refused(&flipped);
    assert!(
        flipped.starts_with("the policy cannot be linked: "),
        "{flipped}"
    );
}

/// Whatever the bytes are, loading ends with a policy or a reason, never with a panic.
#[test]
fn any_single_changed_byte_is_survived() {
    let bytes = component_of("obedient");
    for place in (8..bytes.len()).step_by(23) {
        let mut changed = bytes.clone();
        if let Some(byte) = changed.get_mut(place) {
            *byte ^= 0x55;
        }
        if let Ok(policy) = prepare(&engine(), "changed", &changed, FAILOVER) {
            let error = try_out(policy, &serde_json::json!({})).expect_err("no name");
            assert!(
                !matches!(error, LoadError::CompilerPanic(_)),
                "byte {place}: {error}"
            );
        }
    }
}

#[test]
fn components_for_something_else() {
    let wasi = refused(&importing("wasi:clocks/wall-clock@0.2.0"));
    assert!(
        wasi.starts_with("the policy imports wasi:clocks/wall-clock@0.2.0"),
        "{wasi}"
    );
    assert!(wasi.contains("--stub-wasi"), "{wasi}");
    let other = refused(&importing("baton:policy/log@0.2.0"));
    assert_eq!(
        other,
        "the policy is built for baton:policy/log@0.2.0; this Baton speaks baton:policy@0.1"
    );
    let foreign = refused(&importing("acme:things/stuff@1.0.0"));
    assert!(foreign.contains("acme:things/stuff"), "{foreign}");
    let empty = refused(&wat::parse_str("(component)").expect("wat"));
    assert!(empty.contains("no exported instance named"), "{empty}");
    assert!(empty.contains("baton:policy/"), "{empty}");
}

/// The engine finds this out at the first instantiation only, hence the self-check.
#[test]
fn exports_of_another_shape() {
    let wat = r#"(component
        (core module $m (func (export "f") (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i "f")))
        (instance $plugin (export "metadata" (func $f)) (export "configure" (func $f)))
        (instance $failover (export "assess" (func $f)) (export "rank" (func $f)))
        (export "baton:policy/plugin@0.1.0" (instance $plugin))
        (export "baton:policy/failover@0.1.0" (instance $failover)))"#;
    let bytes = wat::parse_str(wat).expect("wat");
    let policy = prepare(&engine(), "test", &bytes, FAILOVER);
    let error = policy.and_then(|policy| try_out(policy, &serde_json::json!({})));
    let text = error.expect_err("wrong types").to_string();
    assert!(
        text.contains("type mismatch") || text.contains("expected"),
        "{text}"
    );
}

#[test]
fn policies_that_fail_the_self_check() {
    let tried = |name: &str| {
        let policy = prepare(&engine(), name, &component_of(name), FAILOVER).expect(name);
        try_out(policy, &serde_json::json!({}))
            .expect_err(name)
            .to_string()
    };
    assert_eq!(tried("obedient"), "the policy does not say its name");
    let spun = tried("spin-metadata");
    assert!(
        spun.starts_with("the policy failed its self-check (metadata): the policy used up"),
        "{spun}"
    );
    let core = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wat/trap.wat"),
    );
    // The same with a name: one byte at 2000.
    let named = core.expect("trap.wat").replace(
        "metadata\") (result i32) (i32.const 1024)",
        "metadata\") (result i32) (i32.store8 (i32.const 2000) (i32.const 116)) \
         (i32.store (i32.const 1200) (i32.const 2000)) (i32.store (i32.const 1204) (i32.const 1)) (i32.const 1200)",
    );
    let bytes = encode(&wat::parse_str(named).expect("wat"));
    let policy = prepare(&engine(), "named", &bytes, FAILOVER).expect("links");
    let error = try_out(policy, &serde_json::json!({}))
        .expect_err("traps")
        .to_string();
    assert!(
        error.starts_with("the policy failed its self-check (assess): the policy trapped"),
        "{error}"
    );
}

#[test]
fn choices_that_name_nothing() {
    let error = load(&engine(), &PolicyChoice::of("builtin:nope"), FAILOVER).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "there is no built-in policy \"nope\"; there are failover-default, failover-cautious"
    );
    let error = load(
        &engine(),
        &PolicyChoice::of("/nowhere/policy.wasm"),
        FAILOVER,
    )
    .expect_err("missing");
    assert_eq!(
        error.to_string(),
        "cannot read the policy /nowhere/policy.wasm"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_misbehaving_policy_still_passes_its_self_check() {
    assert_eq!(misbehaving("trap").identity().name, "failover-misbehaving");
}
