//! What this crate must be told.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A text that never reaches a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// An account of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// How to use TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Plain connections.
    #[default]
    Off,
    /// Encrypted where the server can; nothing is verified.
    Preferred,
    /// Encrypted or not at all.
    Required {
        /// Certificates that sign the servers' ones; without, nothing is verified.
        ca: Option<PathBuf>,
        /// The certificate must also name the host as its address has it. Off, a certificate that
        /// names another host is let through only by a protocol library that can tell that fault
        /// from others; the present one refuses it all the same.
        verify_host: bool,
    },
}

/// How much encryption a new channel asks of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationTlsMode {
    /// None.
    Off,
    /// Encrypted; the certificate is not checked.
    Required,
    /// Encrypted, and the certificate is signed by an authority that is known.
    VerifyCa,
    /// The same, and it names the host that is connected to.
    VerifyIdentity,
}

/// The encryption that a new channel is given. Paths are those of the replica's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationTls {
    /// How much.
    pub mode: ReplicationTlsMode,
    /// File of authorities.
    pub ca: Option<String>,
    /// Directory of authorities.
    pub ca_path: Option<String>,
    /// The replica's own certificate.
    pub cert: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// Ciphers that are allowed.
    pub cipher: Option<String>,
    /// File of certificates that were revoked.
    pub crl: Option<String>,
    /// Versions that are allowed (MySQL).
    pub versions: Option<String>,
}

/// Statements of the operator that say where a server belongs; each answers with one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    /// Name of the cluster.
    pub cluster_name: Option<String>,
    /// Data centre.
    pub data_center: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Environment.
    pub environment: Option<String>,
    /// Replication lag in seconds (fractions allowed), in place of what the server says.
    pub lag: Option<String>,
}

/// A tiny write that must really commit, tried on servers that should take writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitProbeSettings {
    /// The statement, with autocommit. It must change a row each time: what changes nothing commits
    /// nothing.
    pub statement: String,
    /// Time between two.
    pub interval: Duration,
    /// From when on a commit counts as stalled.
    pub limit: Duration,
}

/// How to speak to managed servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Baton's own account on them.
    pub account: Account,
    /// TLS.
    pub tls: Tls,
    /// Longest wait for TCP to be established (and for a name to resolve).
    pub connect_timeout: Duration,
    /// Longest wait from then on until the session can be used: greeting, TLS, authentication.
    pub handshake_timeout: Duration,
    /// What a server is given when it is pointed at a source and has no credentials yet.
    pub replication: Option<Account>,
    /// The encryption it is given then; without, that of the channels that others have to the same
    /// source.
    pub replication_tls: Option<ReplicationTls>,
    /// Statements that say where a server belongs.
    pub queries: Queries,
    /// Commit probe.
    pub commit_probe: Option<CommitProbeSettings>,
    /// After this time without a word the server ends a session that holds a lock. Whole seconds,
    /// at least 1.
    pub lock_idle_timeout: Duration,
}

impl Settings {
    /// Settings with nothing optional.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            account: Account {
                user: user.into(),
                password: Secret::new(password),
            },
            tls: Tls::Off,
            connect_timeout: Duration::from_secs(1),
            handshake_timeout: Duration::from_secs(2),
            replication: None,
            replication_tls: None,
            queries: Queries::default(),
            commit_probe: None,
            lock_idle_timeout: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_printed() {
        let mut settings = Settings::new("baton", "s3cret");
        settings.replication = Some(Account {
            user: "repl".into(),
            password: Secret::new("s3cret"),
        });
        let text = format!("{settings:?}");
        assert!(!text.contains("s3cret"), "{text}");
        assert!(text.contains("<redacted>"), "{text}");
    }
}
