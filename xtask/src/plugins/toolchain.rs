//! Which compiler builds for WebAssembly on this machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The only target policies are built for: it has no WASI to import.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler for the web and where its standard library's sources lie (packages rustc-web
/// and rust-web-src).
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust";

/// A way to compile for [`TARGET`].
pub(super) enum Toolchain {
    /// The standard library for the target is installed.
    Installed,
    /// It is built from the rustup toolchain's own sources.
    Sources(PathBuf),
    /// Debian's compiler builds it, the rustup toolchain's linker links.
    Debian { linker: PathBuf },
}

/// The first way that works here.
pub(super) fn find() -> Result<Toolchain> {
    if Path::new(&rustc(&["--print", "target-libdir", "--target", TARGET])?).is_dir() {
        return Ok(Toolchain::Installed);
    }
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?);
    let sources = sysroot.join("lib/rustlib/src/rust");
    if sources.join("library").is_dir() {
        return Ok(Toolchain::Sources(sources));
    }
    let version = rustc(&["-vV"])?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or_default();
    let linker = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
    let debian =
        Path::new(DEBIAN_RUSTC).is_file() && Path::new(DEBIAN_SOURCES).join("library").is_dir();
    if debian && linker.is_file() {
        return Ok(Toolchain::Debian { linker });
    }
    bail!(
        "no compiler for {TARGET} here: run `rustup target add {TARGET}`, or on Debian and Ubuntu \
         `apt-get install rustc-web rust-web-src`. Baton itself needs neither: its policies are prebuilt in plugins/prebuilt"
    )
}

fn rustc(args: &[&str]) -> Result<String> {
    let output = Command::new("rustc")
        .args(args)
        .output()
        .context("cannot start rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Toolchain {
    /// Adds what this way needs to a `cargo build` for [`TARGET`].
    pub(super) fn apply(&self, cargo: &mut Command) {
        const BUILD_STD: &str = "-Zbuild-std=std,panic_abort";
        match self {
            Self::Installed => {}
            Self::Sources(_) => {
                cargo.env("RUSTC_BOOTSTRAP", "1").arg(BUILD_STD);
            }
            Self::Debian { linker } => {
                cargo
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                    .arg(BUILD_STD);
            }
        }
    }

    /// Where the standard library's sources lie if they are compiled here.
    pub(super) fn std_sources(&self) -> Option<String> {
        match self {
            // rustup's prebuilt standard library carries no path of this machine.
            Self::Installed => None,
            Self::Sources(folder) => Some(folder.display().to_string()),
            Self::Debian { .. } => Some(DEBIAN_SOURCES.to_owned()),
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => write!(f, "rustup's {TARGET} target"),
            Self::Sources(_) => {
                f.write_str("rustup's rust-src, standard library built from source")
            }
            Self::Debian { .. } => {
                f.write_str("Debian's rustc-web with the rustup toolchain's rust-lld")
            }
        }
    }
}
