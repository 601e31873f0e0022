//! `cargo xtask plugins`: builds the policies under `plugins/` into `plugins/prebuilt/`, or the
//! crates named on the command line.

mod component;
mod sources;
mod toolchain;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use toolchain::Toolchain;

/// Where the finished components of the repository's own policies lie.
const PREBUILT: &str = "plugins/prebuilt";

/// Stack of a policy. The host clears all memory a policy has after each call, and the compiler's
/// default of 1 MiB would be most of it.
const STACK_BYTES: u32 = 256 << 10;

/// Builds policies to components.
///
/// Without arguments all policies of `plugins/` are built into `plugins/prebuilt/`. Otherwise each
/// argument is the folder of a crate; one outside the repository gets its component beside its
/// `Cargo.toml`.
pub(crate) fn run(crates: &[PathBuf]) -> Result<()> {
    let root = repository()?;
    let toolchain = toolchain::find()?;
    println!("toolchain: {toolchain}");
    let folders = if crates.is_empty() {
        own_policies(&root)?
    } else {
        crates.to_vec()
    };
    for folder in folders {
        let policy = Policy::open(&root, &folder)?;
        let file = policy.build(&toolchain)?;
        let size = std::fs::metadata(&file)?.len();
        println!("{} ({} KB)", file.display(), size / 1024);
    }
    Ok(())
}

fn repository() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here
        .parent()
        .context("xtask lies in the repository's root")?
        .to_owned())
}

/// The crates under `plugins/` that make a component, by name.
fn own_policies(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join("plugins"))? {
        let folder = entry?.path();
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("cdylib") {
            found.push(folder);
        }
    }
    found.sort();
    ensure!(
        !found.is_empty(),
        "plugins/ holds no crate with crate-type cdylib"
    );
    Ok(found)
}

/// A policy's crate and where its component goes.
struct Policy {
    root: PathBuf,
    folder: PathBuf,
    name: String,
    own: bool,
}

impl Policy {
    fn open(root: &Path, folder: &Path) -> Result<Self> {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("there is no folder {}", folder.display()))?;
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml"))
            .with_context(|| format!("{} is not a crate", folder.display()))?;
        let name = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
            .with_context(|| {
                format!(
                    "{}/Cargo.toml has no line `name = \"...\"`",
                    folder.display()
                )
            })?
            .to_owned();
        let own = folder.parent() == Some(root.join("plugins").as_path());
        Ok(Self {
            root: root.to_owned(),
            folder,
            name,
            own,
        })
    }

    fn build(&self, toolchain: &Toolchain) -> Result<PathBuf> {
        let module = self.compile(toolchain)?;
        let core = std::fs::read(&module).with_context(|| {
            format!(
                "the build left no {}; is crate-type cdylib?",
                module.display()
            )
        })?;
        let mut bytes = component::from_module(&core)?;
        let out = if self.own {
            component::append_sources(&mut bytes, &sources::digest(&self.root, &self.name)?);
            self.root.join(PREBUILT)
        } else {
            self.folder.clone()
        };
        std::fs::create_dir_all(&out)?;
        let file = out.join(format!("{}.wasm", self.name));
        std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// Builds the core module and says where it lies.
    fn compile(&self, toolchain: &Toolchain) -> Result<PathBuf> {
        let target_dir = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), PathBuf::from)
            .join("plugins");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(&self.folder)
            .args([
                "build",
                "--quiet",
                "--release",
                "--target",
                toolchain::TARGET,
                "--package",
                &self.name,
            ])
            .env("CARGO_TARGET_DIR", &target_dir)
            .env(
                "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
                self.flags(toolchain)?,
            )
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        toolchain.apply(&mut cargo);
        let status = cargo.status().context("cannot start cargo")?;
        if !status.success() {
            bail!("building {} failed", self.name);
        }
        let module = format!("{}.wasm", self.name.replace('-', "_"));
        Ok(target_dir
            .join(toolchain::TARGET)
            .join("release")
            .join(module))
    }

    /// Flags for the compiler.
    ///
    /// Panic messages carry source paths. Without the remaps a component would depend on, and tell,
    /// where it was built.
    fn flags(&self, toolchain: &Toolchain) -> Result<String> {
        let cargo_home = match std::env::var("CARGO_HOME") {
            Ok(home) => home,
            Err(_) => format!(
                "{}/.cargo",
                std::env::var("HOME").context("HOME is not set")?
            ),
        };
        let sources = if self.own {
            self.root.join("plugins")
        } else {
            self.folder.clone()
        };
        // Later pairs win. The folder of a registry is named after its host.
        let registries = Path::new(&cargo_home).join("registry/src");
        let mut pairs = vec![(cargo_home, "/cargo")];
        for registry in std::fs::read_dir(registries).into_iter().flatten() {
            pairs.push((registry?.path().display().to_string(), "/crates"));
        }
        pairs.extend([
            (sources.display().to_string(), "/src"),
            (self.root.join("plugins/sdk").display().to_string(), "/sdk"),
        ]);
        pairs.extend(toolchain.std_sources().map(|folder| (folder, "/rust-src")));
        let remaps = pairs
            .iter()
            .map(|(from, to)| format!("--remap-path-prefix={from}={to}"));
        let mut flags: Vec<String> = remaps.collect();
        flags.push(format!("-Clink-arg=-zstack-size={STACK_BYTES}"));
        Ok(flags.join(" "))
    }
}
