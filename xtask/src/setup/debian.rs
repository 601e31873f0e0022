//! Packages of the distribution.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Missing, has_program, ndb};
use crate::run::{answers, output, privileged, run};

/// What the sandbox and the tests call.
const PACKAGES: &[&str] = &[
    "mariadb-server",
    "galera-4",
    "rsync",
    "iproute2",
    "haproxy",
    "jq",
    "curl",
    "xz-utils",
    "python3-venv",
];

/// Packages that start a service by themselves, which nothing here needs.
const SERVICES: &[(&str, &str)] = &[("mariadb-server", "mariadb"), ("haproxy", "haproxy")];

/// Installs the missing ones, saying so. Elsewhere than on Debian and its kin it only says
/// what to install.
pub(crate) fn install_packages() -> Result<Option<Missing>> {
    let wanted: Vec<&str> = PACKAGES.iter().chain(ndb::packages()).copied().collect();
    if !has_program("dpkg-query") || !has_program("apt-get") {
        let has_mariadb = has_program("mariadbd") || Path::new("/usr/sbin/mariadbd").exists();
        return Ok((!has_mariadb).then(|| Missing {
            what: "packages of the distribution".into(),
            remedy: format!("install the equivalents of {}", wanted.join(" ")),
        }));
    }
    let missing = find_missing(&wanted);
    if missing.is_empty() {
        return Ok(None);
    }
    println!("setup: installing with apt: {}", missing.join(" "));
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments)?;
    for (package, service) in SERVICES {
        if missing.contains(package) {
            stop_service(package, service)?;
        }
    }
    Ok(None)
}

/// Makes sure that apt knows a mirror.
pub(crate) fn require_lists() -> Result<()> {
    if output(Command::new("apt-get").arg("indextargets"))?.is_empty() {
        apt(&["update", "-qq"])?;
    }
    Ok(())
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = privileged("env")?;
    command
        .arg("DEBIAN_FRONTEND=noninteractive")
        .arg("apt-get")
        .args(arguments);
    run(&mut command)
}

fn find_missing<'a>(wanted: &[&'a str]) -> Vec<&'a str> {
    let format = "--showformat=${Package} ${db:Status-Status}\n";
    // It fails when it knows none of a name, and still tells about the others.
    let told = Command::new("dpkg-query")
        .args(["--show", format])
        .args(wanted)
        .output();
    let told = told.map(|output| output.stdout).unwrap_or_default();
    let told = String::from_utf8_lossy(&told);
    let is_installed = |name: &str| told.lines().any(|line| line == format!("{name} installed"));
    wanted
        .iter()
        .copied()
        .filter(|name| !is_installed(name))
        .collect()
}

/// The package starts a server by itself. It was not there before, so nobody relies on it.
fn stop_service(package: &str, service: &str) -> Result<()> {
    if Path::new("/run/systemd/system").exists() {
        println!("setup: stopping and disabling the service that {package} started");
        let unit = format!("{service}.service");
        return run(privileged("systemctl")?.args(["disable", "--now", &unit]));
    }
    if answers(Command::new("service").args([service, "status"])) {
        println!("setup: stopping the service that {package} started");
        return run(privileged("service")?.args([service, "stop"]));
    }
    Ok(())
}
