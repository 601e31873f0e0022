//! What the API says about a cluster, as far as people want to see it.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::paint::append;
use super::{json, words};

/// A cluster with its servers and findings.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterView {
    pub(crate) name: String,
    /// Identity of the primary.
    pub(crate) primary: Option<String>,
    pub(crate) automatic: Option<bool>,
    /// Kind of the recovery under way.
    pub(crate) recovery: Option<String>,
    pub(crate) servers: Vec<ServerView>,
    pub(crate) findings: Vec<FindingView>,
}

/// One server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerView {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) role: String,
    pub(crate) reach: Reach,
    /// Why it does not answer.
    pub(crate) failure: Option<String>,
    pub(crate) version: String,
    /// Executed GTID set, shortened.
    pub(crate) gtid: String,
    pub(crate) writable: Option<bool>,
    pub(crate) lag: Option<Duration>,
    pub(crate) errant: Option<String>,
    /// Semi-sync, downtime, promotion rule and the like, in words.
    pub(crate) marks: Vec<String>,
    pub(crate) channels: Vec<ChannelView>,
}

/// One channel of a replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelView {
    pub(crate) name: String,
    /// Identity of the source, if it is known.
    pub(crate) source: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) receiver: Thread,
    pub(crate) applier: Thread,
    pub(crate) error: Option<String>,
}

/// How a server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    Answering,
    Partial,
    Silent,
    #[default]
    NotProbed,
}

/// State of a replication thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Thread {
    Running,
    Connecting,
    Stopped,
    #[default]
    Unknown,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Notice,
    Warning,
    Critical,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct FindingView {
    pub(crate) code: String,
    /// Identity of the server.
    pub(crate) server: String,
    pub(crate) severity: Severity,
    pub(crate) evidence: Vec<String>,
}

impl Thread {
    pub(crate) fn of(word: Option<&str>) -> Self {
        match word {
            Some("running") => Self::Running,
            Some("connecting") => Self::Connecting,
            Some("stopped") => Self::Stopped,
            _ => Self::Unknown,
        }
    }
}

impl Severity {
    pub(crate) fn of(word: Option<&str>) -> Self {
        match word {
            Some("critical") => Self::Critical,
            Some("warning") => Self::Warning,
            _ => Self::Notice,
        }
    }
}

impl Reach {
    fn of(word: Option<&str>) -> Self {
        match word {
            Some("answering") => Self::Answering,
            Some("partial") => Self::Partial,
            Some("silent") => Self::Silent,
            _ => Self::NotProbed,
        }
    }
}

impl ClusterView {
    /// Reads the document of a cluster.
    pub(crate) fn read(value: &Value, now: SystemTime) -> Self {
        Self {
            name: json::text(value, "name").unwrap_or_default(),
            primary: json::text(value, "primary.id"),
            automatic: json::flag(value, "automatic"),
            recovery: json::text(value, "recovering.kind"),
            servers: json::list(value, "servers")
                .iter()
                .map(|server| ServerView::read(server, now))
                .collect(),
            findings: json::list(value, "findings")
                .iter()
                .map(FindingView::read)
                .collect(),
        }
    }
}

impl ServerView {
    fn read(value: &Value, now: SystemTime) -> Self {
        let channels: Vec<ChannelView> = json::list(value, "channels")
            .iter()
            .map(ChannelView::read)
            .collect();
        Self {
            id: json::text(value, "id").unwrap_or_default(),
            address: json::text(value, "address").unwrap_or_default(),
            role: json::text(value, "role").unwrap_or_default(),
            reach: Reach::of(json::text(value, "probe.state").as_deref()),
            failure: failure(value),
            version: version(value),
            gtid: json::text(value, "facts.gtid_executed")
                .map(|set| words::gtid(&set))
                .unwrap_or_default(),
            writable: json::flag(value, "facts.read_only").map(|read_only| !read_only),
            lag: lag(value),
            errant: json::word(value, "errant"),
            marks: marks(value, now),
            channels,
        }
    }
}

fn failure(server: &Value) -> Option<String> {
    let mut text = json::word(server, "probe.failure")?;
    if let Some(number) = json::number(server, "probe.error_number") {
        append(&mut text, format_args!(", error {number}"));
    }
    if let Some(millis) = json::number(server, "probe.failing_for_ms") {
        append(
            &mut text,
            format_args!(", for {}", words::short(Duration::from_millis(millis))),
        );
    }
    Some(text)
}

fn version(server: &Value) -> String {
    let flavor = match json::text(server, "facts.flavor").as_deref() {
        Some("mariadb") => "MariaDB ",
        Some("mysql") => "MySQL ",
        Some("percona") => "Percona ",
        _ => "",
    };
    json::text(server, "facts.version")
        .map(|version| format!("{flavor}{version}"))
        .unwrap_or_default()
}

/// The greatest lag of its channels.
fn lag(server: &Value) -> Option<Duration> {
    let lags = json::list(server, "channels")
        .iter()
        .filter_map(|channel| json::number(channel, "lag_ms"));
    lags.max().map(Duration::from_millis)
}

fn marks(server: &Value, now: SystemTime) -> Vec<String> {
    let mut marks = Vec::new();
    let is = |path: &str| json::flag(server, path) == Some(true);
    if is("quarantined") {
        marks.push("quarantined".to_owned());
    }
    if is("maintenance") {
        marks.push("maintenance".to_owned());
    }
    if let Some(ends) = json::text(server, "downtime.ends_at") {
        marks.push(format!("downtime ends {}", words::ago(&ends, now)));
    }
    match json::text(server, "promotion").as_deref() {
        None | Some("neutral") => {}
        Some(rule) => marks.push(rule.replace('_', "-")),
    }
    if is("facts.semi_sync.source_enabled") || is("facts.semi_sync.replica_enabled") {
        let active = is("facts.semi_sync.source_active") || is("facts.semi_sync.replica_active");
        marks.push(
            if active {
                "semi-sync"
            } else {
                "semi-sync idle"
            }
            .to_owned(),
        );
    }
    marks
}

impl ChannelView {
    fn read(value: &Value) -> Self {
        let error = ["receiver_error", "applier_error"]
            .into_iter()
            .find_map(|side| {
                let number = json::number(value, &format!("{side}.number"))?;
                let message = json::text(value, &format!("{side}.message")).unwrap_or_default();
                Some(format!("error {number}: {message}"))
            });
        Self {
            name: json::text(value, "name").unwrap_or_default(),
            source: json::text(value, "source.id"),
            address: json::text(value, "source.address")
                .or_else(|| json::text(value, "source_address")),
            receiver: Thread::of(json::text(value, "receiver").as_deref()),
            applier: Thread::of(json::text(value, "applier").as_deref()),
            error,
        }
    }
}

impl FindingView {
    pub(crate) fn read(value: &Value) -> Self {
        Self {
            code: json::text(value, "code").unwrap_or_default(),
            server: json::text(value, "server.id").unwrap_or_default(),
            severity: Severity::of(json::text(value, "severity").as_deref()),
            evidence: json::list(value, "evidence")
                .iter()
                .filter_map(|item| json::text(item, "text"))
                .collect(),
        }
    }
}
