//! An authority and a certificate for servers on the loopback interface, made with `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::Sandbox;

/// Files that servers and replicas can share: one certificate, for `127.0.0.1`, and the authority
/// that signed it.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in the sandbox's folder.
    ///
    /// # Errors
    /// If `openssl` cannot be run.
    pub fn create(sandbox: &Sandbox) -> Result<Self> {
        let folder = sandbox.folder().join("certificates");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let path = |name: &str| folder.join(name);
        self_signed(&folder, "ca", &["basicConstraints=critical,CA:TRUE"])?;
        let issuer = ["-CA", "ca.pem", "-CAkey", "ca-key.pem"];
        let name = "subjectAltName=IP:127.0.0.1";
        signed(
            &folder,
            "server",
            &issuer,
            &["basicConstraints=CA:FALSE", name],
        )?;
        Ok(Self {
            ca: path("ca.pem"),
            cert: path("server.pem"),
            key: path("server-key.pem"),
        })
    }

    /// The options with which a server uses them.
    pub fn server_arguments(&self) -> Vec<String> {
        vec![
            format!("--ssl-ca={}", self.ca.display()),
            format!("--ssl-cert={}", self.cert.display()),
            format!("--ssl-key={}", self.key.display()),
        ]
    }
}

fn self_signed(folder: &Path, name: &str, extensions: &[&str]) -> Result<()> {
    signed(folder, name, &[], extensions)
}

fn signed(folder: &Path, name: &str, issuer: &[&str], extensions: &[&str]) -> Result<()> {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(["req", "-x509", "-nodes"]);
    command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command.args(["-days", "30", "-subj", &format!("/CN={name}")]);
    command.args(["-keyout", &format!("{name}-key.pem")]);
    command.args(["-out", &format!("{name}.pem")]).args(issuer);
    for extension in extensions {
        command.args(["-addext", extension]);
    }
    let output = command
        .output()
        .with_context(|| format!("run {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {errors}");
    Ok(())
}
