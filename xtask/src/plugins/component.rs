//! From a core module to a component.

use anyhow::{Context, Result, bail};
use wasm_encoder::{CustomSection, Encode, Section};
use wasmparser::{Parser, Payload};

/// Name of the custom section that holds the digest of a component's sources.
const SOURCES_SECTION: &str = "baton:sources";

/// Wraps a core module that wit-bindgen made into a component.
pub(super) fn from_module(core: &[u8]) -> Result<Vec<u8>> {
    refuse_wasi(core)?;
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(core)
        .context("the module does not describe a world; does it use the SDK's export_policy?")?
        .encode()
        .context("cannot make a component of the module")
}

/// A policy has no clock, files or network, so it needs no WASI. Said here, because the encoder's
/// own words name an import only.
fn refuse_wasi(core: &[u8]) -> Result<()> {
    for payload in Parser::new(0).parse_all(core) {
        let Payload::ImportSection(imports) = payload? else {
            continue;
        };
        for import in imports.into_imports() {
            let module = import?.module.to_owned();
            if module.starts_with("wasi") {
                bail!(
                    "the module imports {module}: build it for wasm32-unknown-unknown, not for a WASI target"
                );
            }
        }
    }
    Ok(())
}

/// Appends the digest of the sources as the component's last section.
pub(super) fn append_sources(component: &mut Vec<u8>, digest: &str) {
    let section = CustomSection {
        name: SOURCES_SECTION.into(),
        data: digest.as_bytes().into(),
    };
    component.push(section.id());
    section.encode(component);
}
