//! Data directories initialised once and copied for each server.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, id};

use anyhow::{Context, Result, ensure};

use crate::{Flavor, Installation, accounts, places};

/// What a server is for, and so which accounts and schemas it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A server that Baton manages.
    Managed,
    /// A node of a database in which Baton keeps its state.
    Backend,
}

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::Managed => "seed",
            Self::Backend => "seed-backend",
        }
    }

    fn statements(self, flavor: Flavor) -> String {
        match self {
            Self::Managed => accounts::statements(flavor),
            Self::Backend => accounts::backend_statements(flavor),
        }
    }

    /// A schema that the statements create.
    fn schema(self) -> &'static str {
        match self {
            Self::Managed => "app",
            Self::Backend => "baton",
        }
    }
}

/// An initialised data directory with the sandbox's accounts, never started itself.
pub(crate) fn require(installation: &Installation, purpose: Purpose) -> Result<PathBuf> {
    let flavor = installation.flavor();
    let sql = format!("FLUSH PRIVILEGES;\n{}", purpose.statements(flavor));
    let mut hasher = DefaultHasher::new();
    (installation.version(), &sql).hash(&mut hasher);
    let cache = places::cache()?;
    let label = format!("{}-{flavor}", purpose.label());
    let seed = cache.join(format!("{label}-{:016x}", hasher.finish()));
    let lock_path = cache.join(format!("{label}.lock"));
    let lock = File::create(&lock_path).with_context(|| format!("open {}", lock_path.display()))?;
    lock.lock()
        .with_context(|| format!("lock {}", lock_path.display()))?;
    if !seed.exists() {
        // In memory first: initialising syncs a lot. The rename makes it appear whole.
        let draft = places::working()?.join(format!("{label}-{}", id()));
        let partial = cache.join(format!("{label}-partial"));
        let made = initialise(installation, &sql, &draft).and_then(|data| {
            require_schema(flavor, &data.join(purpose.schema()))?;
            remove(&partial)?;
            copy(&data, &partial)
        });
        remove(&draft)?;
        made?;
        fs::rename(&partial, &seed).with_context(|| format!("create {}", seed.display()))?;
    }
    Ok(seed)
}

/// Copies a data directory, sharing blocks where the file system can.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    command
        .args(["-a", "--reflink=auto", "--"])
        .arg(from)
        .arg(to);
    run(&mut command)?;
    // MySQL keeps the server's UUID there; it makes a new one when the file is missing.
    let identity = to.join("auto.cnf");
    if identity.exists() {
        fs::remove_file(&identity).with_context(|| format!("remove {}", identity.display()))?;
    }
    Ok(())
}

fn initialise(installation: &Installation, sql: &str, draft: &Path) -> Result<PathBuf> {
    let data = draft.join("data");
    let script = draft.join("accounts.sql");
    remove(draft)?;
    fs::create_dir_all(draft).with_context(|| format!("create {}", draft.display()))?;
    fs::write(&script, sql).with_context(|| format!("write {}", script.display()))?;
    let mut command = match installation.flavor() {
        Flavor::MariaDb => {
            let mut command = Command::new("mariadb-install-db");
            command.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
            // Forced, since it insists on resolving this machine's name, which nothing needs.
            command.args(["--skip-test-db", "--force", "--innodb-log-file-size=8M"]);
            command.arg(format!("--extra-file={}", script.display()));
            if rustix::process::geteuid().is_root() {
                command.arg("--user=root");
            }
            command
        }
        Flavor::MySql => {
            let mut command = installation.command(None);
            command.args(["--initialize-insecure", "--innodb-redo-log-capacity=8M"]);
            command.arg(format!("--init-file={}", script.display()));
            command
        }
    };
    command.arg(format!("--datadir={}", data.display()));
    run(&mut command)?;
    Ok(data)
}

/// The server reports a failing statement of the script in its output only.
fn require_schema(flavor: Flavor, schema: &Path) -> Result<()> {
    let evidence = match flavor {
        Flavor::MariaDb => schema.join("db.opt"),
        Flavor::MySql => schema.to_path_buf(),
    };
    ensure!(
        evidence.exists(),
        "initialising did not run the script: no {}",
        evidence.display()
    );
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}
