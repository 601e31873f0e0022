//! Finding the servers' programs.

use std::env::{self, consts::ARCH};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::spawner::bound_command;
use crate::{Flavor, Host, places};

/// The C library's program loader, by the name Debian gives it.
const LOADER: &str = if cfg!(target_arch = "aarch64") {
    "ld-linux-aarch64.so.1"
} else {
    "ld-linux-x86-64.so.2"
};

/// Sandboxes are root's own, so nothing is lost by running servers as root, and no other
/// user has to exist.
const ROOT: &str = "root";

/// An installed server: its program, what it must always be given, and its version.
#[derive(Clone, Debug)]
pub struct Installation {
    flavor: Flavor,
    program: PathBuf,
    fixed: Vec<String>,
    version: String,
    /// Whom it runs as when root starts it.
    user: &'static str,
}

impl Installation {
    /// Finds the server of a flavour: the program named by `BATON_MARIADBD` or
    /// `BATON_MYSQLD`, else what `cargo xtask setup` unpacked, else the one in the path.
    pub fn find(flavor: Flavor) -> Result<Self> {
        match flavor {
            Flavor::MariaDb => {
                let program = find_program("BATON_MARIADBD", "mariadbd")?;
                Self::checked(flavor, program, vec!["--no-defaults".into()])
            }
            Flavor::MySql => Self::find_mysql(),
        }
    }

    /// The server of an installation of MySQL NDB Cluster.
    pub(crate) fn ndb(base: &Path) -> Result<Self> {
        let fixed = vec![
            "--no-defaults".into(),
            format!("--basedir={}", base.display()),
            "--secure-file-priv=".into(),
        ];
        Self::checked(Flavor::MySql, base.join("bin/mysqld"), fixed)
    }

    /// What the program says about its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The flavour it is of.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// A command that starts it and dies with us, options to be added.
    pub(crate) fn command(&self, host: Option<&Host>) -> Command {
        let mut command = bound_command(host, self.program.as_os_str());
        command.args(&self.fixed);
        if rustix::process::geteuid().is_root() {
            command.arg(format!("--user={}", self.user));
        }
        command
    }

    /// The same, started as an ordinary user. Galera's state transfer needs that: started by
    /// root, its rsync gives up root's rights and cannot write what it receives.
    pub(crate) fn unprivileged(mut self) -> Self {
        self.user = "mysql";
        self
    }

    /// Gives a folder to the user it runs as.
    pub(crate) fn hand_over(&self, folder: &Path) -> Result<()> {
        if self.user == ROOT || !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let mut command = Command::new("chown");
        command.args(["-R", self.user, "--"]).arg(folder);
        let status = command
            .status()
            .with_context(|| format!("run {command:?}"))?;
        ensure!(status.success(), "{command:?} failed");
        Ok(())
    }

    fn find_mysql() -> Result<Self> {
        let root = places::cache()?.join("mysql");
        if env::var_os("BATON_MYSQLD").is_none() && root.join("usr/sbin/mysqld").exists() {
            let libraries = root.join("usr/lib").join(format!("{ARCH}-linux-gnu"));
            let loader = libraries.join(LOADER);
            let fixed = unpacked_mysql_arguments(&root, &libraries);
            return Self::checked(Flavor::MySql, loader, fixed);
        }
        let program = find_program("BATON_MYSQLD", "mysqld")?;
        let fixed = vec!["--no-defaults".into(), "--secure-file-priv=".into()];
        Self::checked(Flavor::MySql, program, fixed)
    }

    fn checked(flavor: Flavor, program: PathBuf, fixed: Vec<String>) -> Result<Self> {
        let output = Command::new(&program)
            .args(&fixed)
            .arg("--version")
            .output()
            .with_context(|| format!("run {}", program.display()))?;
        let told = String::from_utf8_lossy(&output.stdout);
        // "/path/to/mysqld  Ver 9.7.4-2 for ..."
        let version = told
            .split_once(" Ver ")
            .map_or(&*told, |(_, rest)| rest)
            .trim()
            .to_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{} does not run: {errors}",
            program.display()
        );
        // Debian's MariaDB also installs itself as `mysqld`.
        let is_mariadb = version.contains("MariaDB");
        ensure!(
            is_mariadb == (flavor == Flavor::MariaDb),
            "{} is not {flavor}: {version}",
            program.display()
        );
        Ok(Self {
            flavor,
            program,
            fixed,
            version,
            user: ROOT,
        })
    }
}

/// The `baton` program under test: `BATON_BIN`, else the one that cargo built beside the
/// running test, demo or benchmark.
pub fn find_baton() -> Result<PathBuf> {
    if let Some(path) = env::var_os("BATON_BIN") {
        return Ok(path.into());
    }
    let running = env::current_exe().context("find the running program")?;
    // Tests lie one folder deeper than programs.
    let built = running
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("baton"));
    let Some(built) = built.into_iter().find(|path| path.is_file()) else {
        bail!("no baton beside {}", running.display());
    };
    Ok(built)
}

/// Debian sid's binaries need sid's C library beside them, so its loader starts them, and
/// every path that was compiled in has to be given.
fn unpacked_mysql_arguments(root: &Path, libraries: &Path) -> Vec<String> {
    let root = root.display();
    vec![
        "--library-path".into(),
        libraries.display().to_string(),
        format!("{root}/usr/sbin/mysqld"),
        "--no-defaults".into(),
        format!("--basedir={root}/usr"),
        format!("--lc-messages-dir={root}/usr/share/mysql"),
        format!("--character-sets-dir={root}/usr/share/mysql/charsets"),
        format!("--plugin-dir={root}/usr/lib/mysql/plugin"),
        "--secure-file-priv=".into(),
    ]
}

pub(crate) fn find_program(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    let path = env::var_os("PATH").context("PATH is not set")?;
    // A user's path often lacks the directory where Debian puts servers.
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    let Some(found) = found else {
        bail!("no {name} in the path");
    };
    Ok(found)
}
