//! Options of replication channels: what a channel has apart from its source, account and position.
//!
//! `CHANGE MASTER` keeps what it does not mention, but for the heartbeat (tried on MariaDB 10.11
//! and MySQL 9.7). A server that was the primary has no channel, so its options are gone: it gets
//! those that others use for the same link.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use baton_core::ids::Address;

use crate::rows::{Record, Table};
use crate::settings::{ReplicationTls, ReplicationTlsMode};
use crate::text::quote;

/// How an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `1` or `0`.
    Flag,
    /// A string.
    Text,
    /// A bare number or keyword.
    Bare,
    /// `'user'@'host'`, or NULL.
    Account,
}

/// One option and where servers show it.
struct Rule {
    /// Its name, without the `SOURCE_` or `MASTER_` of most.
    name: &'static str,
    prefixed: bool,
    columns: &'static [&'static str],
    kind: Kind,
}

const fn link(name: &'static str, columns: &'static [&'static str], kind: Kind) -> Rule {
    Rule {
        name,
        prefixed: true,
        columns,
        kind,
    }
}

const fn applier(name: &'static str, columns: &'static [&'static str], kind: Kind) -> Rule {
    Rule {
        name,
        prefixed: false,
        columns,
        kind,
    }
}

/// Options of the encryption of a link.
const TLS: [Rule; 11] = [
    link(
        "SSL",
        &["Source_SSL_Allowed", "Master_SSL_Allowed"],
        Kind::Flag,
    ),
    link(
        "SSL_CA",
        &["Source_SSL_CA_File", "Master_SSL_CA_File"],
        Kind::Text,
    ),
    link(
        "SSL_CAPATH",
        &["Source_SSL_CA_Path", "Master_SSL_CA_Path"],
        Kind::Text,
    ),
    link(
        "SSL_CERT",
        &["Source_SSL_Cert", "Master_SSL_Cert"],
        Kind::Text,
    ),
    link("SSL_KEY", &["Source_SSL_Key", "Master_SSL_Key"], Kind::Text),
    link(
        "SSL_CIPHER",
        &["Source_SSL_Cipher", "Master_SSL_Cipher"],
        Kind::Text,
    ),
    link("SSL_CRL", &["Source_SSL_Crl", "Master_SSL_Crl"], Kind::Text),
    link(
        "SSL_CRLPATH",
        &["Source_SSL_Crlpath", "Master_SSL_Crlpath"],
        Kind::Text,
    ),
    link(
        "SSL_VERIFY_SERVER_CERT",
        &[
            "Source_SSL_Verify_Server_Cert",
            "Master_SSL_Verify_Server_Cert",
        ],
        Kind::Flag,
    ),
    link(
        "TLS_VERSION",
        &["Source_TLS_Version", "Master_TLS_Version"],
        Kind::Text,
    ),
    link("TLS_CIPHERSUITES", &["TLS_CIPHERSUITES"], Kind::Text),
];

/// Other options of a link, and of whoever applies what comes over it. Not a replica's own: delay,
/// filters, local interface. MySQL's own failover of a channel (`SOURCE_CONNECTION_AUTO_FAILOVER`)
/// would act against Baton.
const OTHERS: [Rule; 7] = [
    link(
        "COMPRESSION_ALGORITHMS",
        &["COMPRESSION_ALGORITHM"],
        Kind::Text,
    ),
    link(
        "ZSTD_COMPRESSION_LEVEL",
        &["ZSTD_COMPRESSION_LEVEL"],
        Kind::Bare,
    ),
    link(
        "PUBLIC_KEY_PATH",
        &["Source_public_key_path", "Master_public_key_path"],
        Kind::Text,
    ),
    applier(
        "PRIVILEGE_CHECKS_USER",
        &["PRIVILEGE_CHECKS_USER"],
        Kind::Account,
    ),
    applier("REQUIRE_ROW_FORMAT", &["REQUIRE_ROW_FORMAT"], Kind::Flag),
    applier(
        "REQUIRE_TABLE_PRIMARY_KEY_CHECK",
        &["REQUIRE_TABLE_PRIMARY_KEY_CHECK"],
        Kind::Bare,
    ),
    applier("GTID_ONLY", &["GTID_ONLY"], Kind::Flag),
];

/// Where a channel shows how often it tries to connect, and the servers' own choice: 60 s on both
/// flavours, 10 attempts on newer servers of MySQL and a day of them on older ones.
const CONNECT_RETRY: [&str; 1] = ["Connect_Retry"];
const RETRY_COUNT: [&str; 2] = ["Source_Retry_Count", "Master_Retry_Count"];
const USUAL_CONNECT_RETRY: u32 = 60;
const USUAL_RETRY_COUNTS: [u32; 2] = [10, 86_400];
/// The servers' own choice of the time between heartbeats, in seconds.
const USUAL_HEARTBEAT: f64 = 30.0;

/// The options of one channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ChannelOptions {
    /// Name and value of each, the value as SQL, and whether the name has a prefix.
    tls: Vec<(&'static str, String)>,
    others: Vec<(&'static str, bool, String)>,
    encrypted: bool,
    has_public_key: bool,
    /// Seconds between attempts, if a person chose them.
    pub(crate) connect_retry: Option<u32>,
    /// Attempts, if a person chose them.
    pub(crate) retry_count: Option<u32>,
    /// Seconds between heartbeats, if a person chose them.
    pub(crate) heartbeat: Option<f64>,
}

impl ChannelOptions {
    /// What a channel shows of its options, in the status and, on MySQL, in tables.
    pub(crate) fn read(shown: &Record<'_>, configured: Option<&Record<'_>>) -> Self {
        let find = |rule: &Rule| {
            value(shown, rule).or_else(|| configured.and_then(|row| value(row, rule)))
        };
        let tls = TLS.iter().filter_map(|rule| Some((rule.name, find(rule)?)));
        let others = OTHERS
            .iter()
            .filter_map(|rule| Some((rule.name, rule.prefixed, find(rule)?)));
        let period = shown
            .number(&["Slave_heartbeat_period"])
            .or_else(|| configured?.number::<f64>(&["HEARTBEAT_INTERVAL"]));
        Self {
            tls: tls.collect(),
            others: others.collect(),
            encrypted: shown.flag(&["Source_SSL_Allowed", "Master_SSL_Allowed"]) == Some(true),
            has_public_key: shown
                .filled(&["Source_public_key_path", "Master_public_key_path"])
                .is_some(),
            connect_retry: shown
                .number(&CONNECT_RETRY)
                .filter(|&seconds| seconds != USUAL_CONNECT_RETRY),
            retry_count: shown
                .number(&RETRY_COUNT)
                .filter(|count| !USUAL_RETRY_COUNTS.contains(count)),
            heartbeat: period.filter(|&period| period > 0.0 && period < USUAL_HEARTBEAT),
        }
    }

    /// The same with the encryption that the configuration asks for.
    pub(crate) fn with_tls(self, tls: &ReplicationTls) -> Self {
        let on = tls.mode != ReplicationTlsMode::Off;
        let text = |text: &Option<String>| quote(text.as_deref().unwrap_or_default());
        let flag = |on: bool| String::from(if on { "1" } else { "0" });
        let verified = tls.mode == ReplicationTlsMode::VerifyIdentity;
        let mut options = vec![
            ("SSL", flag(on)),
            ("SSL_CA", text(&tls.ca)),
            ("SSL_CAPATH", text(&tls.ca_path)),
            ("SSL_CERT", text(&tls.cert)),
            ("SSL_KEY", text(&tls.key)),
            ("SSL_CIPHER", text(&tls.cipher)),
            ("SSL_CRL", text(&tls.crl)),
            ("SSL_VERIFY_SERVER_CERT", flag(verified)),
        ];
        if tls.versions.is_some() {
            options.push(("TLS_VERSION", text(&tls.versions)));
        }
        Self {
            tls: options,
            encrypted: on,
            ..self
        }
    }

    /// Encrypted where the source can. For MariaDB, whose own choice was a clear link until 11.4,
    /// and where `1` asks for no more than that (tried on 10.11).
    pub(crate) fn preferring_tls() -> Self {
        Self {
            tls: vec![("SSL", "1".to_owned())],
            encrypted: true,
            ..Self::default()
        }
    }

    /// What MariaDB understands of it, should a server of MySQL be the model.
    pub(crate) fn for_mariadb(mut self) -> Self {
        self.others.clear();
        self.tls.retain(|(name, _)| name.starts_with("SSL"));
        self
    }

    /// Whether a receiver may have to ask its source for its public key. Over TLS it need not, and
    /// over a clear link the key would be whatever somebody in between sends.
    pub(crate) fn asks_for_public_key(&self) -> bool {
        !self.encrypted && !self.has_public_key
    }

    /// The options as they stand in the statement.
    pub(crate) fn clauses(&self, prefix: &str) -> Vec<String> {
        let tls = self
            .tls
            .iter()
            .map(|(name, value)| format!("{prefix}_{name}={value}"));
        let others = self.others.iter().map(|(name, prefixed, value)| {
            if *prefixed {
                format!("{prefix}_{name}={value}")
            } else {
                format!("{name}={value}")
            }
        });
        tls.chain(others).collect()
    }
}

/// The value of an option as SQL; `None` if the server does not show it.
fn value(record: &Record<'_>, rule: &Rule) -> Option<String> {
    match rule.kind {
        Kind::Flag => record
            .flag(rule.columns)
            .map(|on| String::from(if on { "1" } else { "0" })),
        // What a server does not choose, it shows as empty; not all take an empty list of versions.
        Kind::Text if rule.name == "TLS_VERSION" => record.filled(rule.columns).map(quote),
        Kind::Text => record.text(rule.columns).map(quote),
        Kind::Bare => record
            .filled(rule.columns)
            .filter(|text| text.chars().all(|c| c.is_ascii_alphanumeric()))
            .map(str::to_owned),
        Kind::Account => match record.filled(rule.columns) {
            Some(text) => account(text),
            None => rule
                .columns
                .iter()
                .any(|column| record.has(column))
                .then(|| "NULL".to_owned()),
        },
    }
}

/// `'user'@'host'` as the server shows it, quoted anew.
fn account(text: &str) -> Option<String> {
    let bare = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let (user, host) = bare.rsplit_once("'@'")?;
    Some(format!("{}@{}", quote(user), quote(host)))
}

/// A channel as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenChannel {
    /// Its name.
    pub(crate) name: String,
    /// Where it led.
    pub(crate) source: Option<Address>,
    /// Its options.
    pub(crate) options: ChannelOptions,
}

impl SeenChannel {
    /// All channels of a reading.
    pub(crate) fn all(shown: &Table, configured: &Table) -> Vec<Self> {
        let channel = |record: Record<'_>| {
            let name = record.owned(&["Channel_Name", "Connection_name"]);
            let row = configured
                .records()
                .find(|row| row.text(&["CHANNEL_NAME"]).unwrap_or_default() == name);
            let host = record
                .text(&["Source_Host", "Master_Host"])
                .unwrap_or_default();
            let port = record.number(&["Source_Port", "Master_Port"]).unwrap_or(0);
            Self {
                source: Address::new(host, port).ok(),
                options: ChannelOptions::read(&record, row.as_ref()),
                name,
            }
        };
        shown.records().map(channel).collect()
    }
}

/// Most channels remembered of one server; beyond, names change without end.
const CHANNELS_MAX: usize = 32;

/// The channels that servers had when they were last read, also of those that have none now. In
/// memory only: after a start of Baton, what nobody shows any more is not known.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelMemory {
    seen: Arc<Mutex<BTreeMap<Address, Vec<SeenChannel>>>>,
}

impl ChannelMemory {
    /// Notes what a server shows. What it does not show any more stays.
    pub(crate) fn note(&self, server: &Address, channels: Vec<SeenChannel>) {
        if channels.is_empty() {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(server.clone()).or_default();
        known.retain(|old| channels.iter().all(|new| new.name != old.name));
        known.extend(channels);
        let surplus = known.len().saturating_sub(CHANNELS_MAX);
        known.drain(..surplus);
    }

    /// The channel after which a new one of `server`, named `name` and leading to `source`, is
    /// made: the one that `source` had to `server` before the two changed places, else one of
    /// another replica of `source`, else the one that `server` itself had.
    pub(crate) fn model(
        &self,
        server: &Address,
        source: &Address,
        name: &str,
    ) -> Option<ChannelOptions> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |address: &Address| seen.get(address).map(Vec::as_slice).unwrap_or_default();
        let leads_to =
            |channel: &&SeenChannel, target: &Address| channel.source.as_ref() == Some(target);
        let opposite = of(source).iter().find(|channel| leads_to(channel, server));
        let named = || of(source).iter().find(|channel| channel.name == name);
        let beside = || {
            seen.iter()
                .filter(|(other, _)| *other != server)
                .flat_map(|(_, channels)| channels)
                .find(|channel| leads_to(channel, source))
        };
        let own = || {
            let mut own = of(server).iter();
            own.find(|channel| channel.name == name)
        };
        let found = opposite.or_else(named).or_else(beside).or_else(own);
        found.map(|channel| channel.options.clone())
    }
}

#[cfg(test)]
mod tests;
