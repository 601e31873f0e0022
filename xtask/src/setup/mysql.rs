//! MySQL 9.7, which Debian has in its unstable release only: unpacked beside the system.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Missing, debian, has_program, unpack_whole};
use crate::run::{output, run};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Fetches the server into the cache, unless it is there or the user has one.
pub(crate) fn fetch(cache: &Path) -> Result<Option<Missing>> {
    let server = cache.join("mysql");
    if server.join("usr/sbin/mysqld").exists() || env::var_os("BATON_MYSQLD").is_some() {
        return Ok(None);
    }
    let Some(site) = find_site()? else {
        return Ok(Some(Missing {
            what: "MySQL server".into(),
            remedy: "it is fetched on Debian only: set BATON_MYSQLD to a mysqld of yours".into(),
        }));
    };
    println!(
        "setup: fetching MySQL from Debian's unstable release into {}",
        server.display()
    );
    println!("       (unpacked there, not installed; about 410 MB)");
    let apt = Apt::create(&cache.join("apt"), &site)?;
    apt.run(&["update"])?;
    let packages = ["mysql-server-core", "mysql-client-core"];
    let mut install = vec![
        "-y",
        "--no-install-recommends",
        "--download-only",
        "install",
    ];
    install.extend(packages);
    apt.run(&install)?;
    let archives = apt.archives()?;
    ensure!(!archives.is_empty(), "apt downloaded no packages for MySQL");
    unpack_whole(&server, |folder| {
        archives
            .iter()
            .try_for_each(|archive| run(Command::new("dpkg").arg("-x").arg(archive).arg(folder)))
    })?;
    apt.remove()
}

/// The mirror this machine uses, asked from its own apt, if it is Debian's.
fn find_site() -> Result<Option<String>> {
    if !has_program("apt-get") || !has_program("dpkg") || !Path::new(KEYRING).exists() {
        return Ok(None);
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let entry = |key: &str| {
        let value = release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.map(|value| value.trim_matches('"').to_owned())
    };
    let (Some(id), Some(codename)) = (entry("ID"), entry("VERSION_CODENAME")) else {
        return Ok(None);
    };
    if id != "debian" {
        return Ok(None);
    }
    debian::require_lists()?;
    let sites = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE)",
        "Created-By: Packages",
        &format!("Codename: {codename}"),
    ]))?;
    Ok(sites.lines().next().map(str::to_owned))
}

/// An apt of its own: other sources, and no installed packages, so that it downloads every
/// library that the server needs. The system's settings, such as a proxy, hold for it too: apt
/// reads them before it turns to another directory.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn create(folder: &Path, site: &str) -> Result<Self> {
        let apt = Self {
            folder: folder.to_path_buf(),
        };
        for part in [
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg",
        ] {
            let path = folder.join(part);
            fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        }
        apt.write("var/lib/dpkg/status", "")?;
        let source = format!(
            "Types: deb\nURIs: {site}\nSuites: sid\nComponents: main\nSigned-By: {KEYRING}\n"
        );
        apt.write("etc/apt/sources.list.d/sid.sources", &source)?;
        Ok(apt)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let folder = self.folder.display();
        let mut command = Command::new("apt-get");
        command.arg("-qq").arg("-o").arg(format!("Dir={folder}"));
        command
            .arg("-o")
            .arg(format!("Dir::State::status={folder}/var/lib/dpkg/status"));
        command
            .args(["-o", "Acquire::Languages=none"])
            .args(arguments);
        // It tells at length what it would install.
        output(&mut command).map(drop)
    }

    fn archives(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("var/cache/apt/archives");
        let entries =
            fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().context("list packages")?;
        Ok(paths
            .into_iter()
            .filter(|path| path.extension().is_some_and(|e| e == "deb"))
            .collect())
    }

    fn write(&self, part: &str, text: &str) -> Result<()> {
        let path = self.folder.join(part);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    /// 94 MB that nobody needs again.
    fn remove(self) -> Result<Option<Missing>> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("remove {}", self.folder.display()))?;
        Ok(None)
    }
}
