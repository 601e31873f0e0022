//! From single values to settings, and what must hold between values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_core::ids::{Address, NodeName};
use baton_core::model::{Place, PromotionRule, Risk};
use baton_core::policy::backend::BackendKind;
use baton_store::MySqlOptions;

use super::databases;
use super::document::Document;
use super::problem::Problem;
use super::replication_tls;
use super::settings::{
    Account, AnalysisLimits, BackendSettings, ClusterHint, CommitProbeSettings, HttpSettings,
    HttpUser, LogFormat, LogSettings, NodeSettings, PluginSource, PolicySettings, Queries,
    RecoverySettings, RejoinMode, ServerHint, Settings, Tls, TlsMode, TopologySettings,
};
use super::value::SecretSource;
use super::{PolicyJudge, Surroundings};
use crate::secret::Secret;

/// Port of a server whose address has none.
const MYSQL_PORT: u16 = 3306;

/// Limit for connecting and reading where the file sets none: far above a healthy round trip, and
/// two of them fit into the default interval.
const PROBE_LIMIT: Duration = Duration::from_millis(500);

/// Limit of a step where the file sets none: long enough for a busy server to stop its appliers.
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// Limit of fencing in a failover where the file sets none: the outage grows by it when a server
/// hangs.
const REVOKE_LIMIT: Duration = Duration::from_secs(3);

/// Builds the settings, noting in the document what is wrong. The result counts only if nothing is.
pub(crate) fn build(document: &mut Document, around: &Surroundings<'_>) -> Settings {
    let data_dir = PathBuf::from(document.text("node.data_dir").unwrap_or_default());
    let settings = Settings {
        node: node(document, &data_dir, around),
        http: http(document, &data_dir, around),
        topology: topology(document, &data_dir, around),
        servers: servers(document),
        clusters: clusters(document),
        replication: replication(document, &data_dir, around),
        replication_tls: replication_tls::read(document),
        recovery: recovery(document),
        analysis: analysis(document),
        policy: policy(document, &data_dir, around),
        backend: backend(document, &data_dir, around),
        log: log(document),
        warnings: Vec::new(),
    };
    Settings {
        warnings: warnings(document, &settings),
        ..settings
    }
}

fn node(document: &mut Document, data_dir: &Path, around: &Surroundings<'_>) -> NodeSettings {
    if document.is_sound("node.data_dir") && !(around.is_dir)(data_dir) {
        document.object("node.data_dir", "is not a directory that exists".to_owned());
    }
    let listen = document.text("http.listen").unwrap_or_default();
    let url = document.text("node.url");
    let url = url.unwrap_or_else(|| format!("http://{listen}"));
    NodeSettings {
        url: url.trim_end_matches('/').to_owned(),
        name: NodeName::new(document.text("node.name").unwrap_or_default()),
        zone: document.text("node.zone"),
        lease_ttl: document.duration("node.lease_ttl"),
        peers: document
            .texts("node.peers")
            .iter()
            .map(|peer| peer.trim_end_matches('/').to_owned())
            .collect(),
        data_dir: data_dir.to_owned(),
    }
}

fn http(document: &mut Document, data_dir: &Path, around: &Surroundings<'_>) -> HttpSettings {
    let listen = document
        .text("http.listen")
        .and_then(|text| text.parse().ok());
    let mut names = BTreeMap::new();
    let mut users = Vec::new();
    for at in document.instances("http.users") {
        let (name_key, password_key) = (format!("{at}.name"), format!("{at}.password"));
        let name = document.text(&name_key).unwrap_or_default();
        once(document, &mut names, name.clone(), &name_key);
        let password = secret(document, &password_key, data_dir, around);
        if document.is_sound(&password_key) && password.is_empty() {
            document.object(&password_key, "must not be empty".to_owned());
        }
        users.push(HttpUser { name, password });
    }
    HttpSettings {
        // The rule of the key refused anything that does not parse; the value stands for a refused
        // one.
        listen: listen.unwrap_or_else(|| ([127, 0, 0, 1], 3000).into()),
        url_prefix: document.text("http.url_prefix").unwrap_or_default(),
        read_only: document.flag("http.read_only"),
        users,
    }
}

fn topology(
    document: &mut Document,
    data_dir: &Path,
    around: &Surroundings<'_>,
) -> TopologySettings {
    let poll_interval = document
        .duration("topology.poll_interval")
        .unwrap_or(PROBE_LIMIT);
    let mut limit = |key: &str| {
        let limit = document
            .duration(key)
            .unwrap_or(PROBE_LIMIT.min(poll_interval));
        not_longer(
            document,
            (key, limit),
            ("topology.poll_interval", poll_interval),
        );
        limit
    };
    let (connect_timeout, read_timeout) = (
        limit("topology.connect_timeout"),
        limit("topology.read_timeout"),
    );
    let account = Account {
        user: document.text("topology.user").unwrap_or_default(),
        password: secret(document, "topology.password", data_dir, around),
    };
    let query = |name: &str| {
        document
            .text(&format!("topology.{name}_query"))
            .map(|text| text.trim_end().trim_end_matches(';').to_owned())
    };
    let queries = Queries {
        cluster_name: query("cluster_name"),
        data_center: query("data_center"),
        region: query("region"),
        environment: query("environment"),
        lag: query("lag"),
    };
    TopologySettings {
        account,
        seeds: addresses(document, "topology.seeds"),
        poll_interval,
        connect_timeout,
        read_timeout,
        concurrency: document.whole("topology.concurrency").unwrap_or(1),
        silent_concurrency: document.whole("topology.silent_concurrency").unwrap_or(1),
        forget_after: document
            .duration("topology.forget_after")
            .unwrap_or(Duration::MAX),
        tls: tls(document, data_dir, around),
        queries,
        commit_probe: commit_probe(document),
    }
}

fn tls(document: &mut Document, data_dir: &Path, around: &Surroundings<'_>) -> Tls {
    const CA: &str = "topology.tls.ca";
    let (mode, verifies) = match document.text("topology.tls.mode").as_deref() {
        Some("preferred") => (TlsMode::Preferred, false),
        Some("required") => (TlsMode::Required, false),
        Some("verify-identity") => (TlsMode::VerifyIdentity, true),
        _ => (TlsMode::Off, false),
    };
    let ca = document.text(CA).map(|path| data_dir.join(path));
    let objection = match &ca {
        _ if !document.is_sound("topology.tls.mode") || !document.is_sound(CA) => None,
        Some(_) if !verifies => {
            Some("is of no use unless topology.tls.mode is \"verify-identity\"".to_owned())
        }
        None if verifies => Some("is missing: topology.tls.mode asks for verification".to_owned()),
        Some(path) => (around.read)(path)
            .err()
            .map(|error| format!("cannot be read ({error})")),
        None => None,
    };
    if let Some(why) = objection {
        document.object(CA, why);
    }
    Tls { mode, ca }
}

fn commit_probe(document: &mut Document) -> Option<CommitProbeSettings> {
    const LIMIT: &str = "topology.commit_probe.limit";
    const INTERVAL: &str = "topology.commit_probe.interval";
    if !document.has_section("topology.commit_probe") {
        return None;
    }
    let interval = document.duration(INTERVAL).unwrap_or(Duration::MAX);
    let limit = document.duration(LIMIT).unwrap_or(Duration::MAX);
    not_longer(document, (LIMIT, limit), (INTERVAL, interval));
    let statement = document
        .text("topology.commit_probe.statement")
        .unwrap_or_default();
    Some(CommitProbeSettings {
        statement,
        interval,
        limit,
    })
}

fn servers(document: &mut Document) -> Vec<ServerHint> {
    let mut seen = BTreeMap::new();
    let mut servers = Vec::new();
    for at in document.instances("server") {
        let key = format!("{at}.address");
        let Some(address) = document
            .text(&key)
            .and_then(|text| Address::parse(&text, Some(MYSQL_PORT)).ok())
        else {
            continue;
        };
        once(document, &mut seen, address.to_string(), &key);
        let text = |name: &str| document.text(&format!("{at}.{name}")).unwrap_or_default();
        servers.push(ServerHint {
            address,
            promotion: PromotionRule::parse(&text("promotion")).unwrap_or_default(),
            place: Place {
                data_center: text("data_center"),
                region: text("region"),
                environment: text("environment"),
            },
            tags: document.texts(&format!("{at}.tags")),
        });
    }
    servers
}

fn clusters(document: &mut Document) -> Vec<ClusterHint> {
    let (mut names, mut owners) = (BTreeMap::new(), BTreeMap::new());
    let mut clusters = Vec::new();
    for at in document.instances("cluster") {
        let (name_key, members_key) = (format!("{at}.name"), format!("{at}.members"));
        let name = document.text(&name_key).unwrap_or_default();
        once(document, &mut names, name.clone(), &name_key);
        let members = addresses(document, &members_key);
        if members.is_empty() && document.is_sound(&members_key) {
            document.object(&members_key, "must name at least one server".to_owned());
        }
        for member in &members {
            once(document, &mut owners, member.to_string(), &members_key);
        }
        let risk = document.text(&format!("{at}.risk"));
        let risk = risk.and_then(|word| Risk::from_word(&word));
        clusters.push(ClusterHint {
            name,
            members,
            risk,
        });
    }
    clusters
}

fn replication(
    document: &mut Document,
    data_dir: &Path,
    around: &Surroundings<'_>,
) -> Option<Account> {
    document.has_section("replication").then(|| Account {
        user: document.text("replication.user").unwrap_or_default(),
        password: secret(document, "replication.password", data_dir, around),
    })
}

fn recovery(document: &mut Document) -> RecoverySettings {
    let limit =
        |key: &'static str, otherwise: Duration| (key, document.duration(key).unwrap_or(otherwise));
    let drain = limit("recovery.drain_limit", Duration::MAX);
    let switchover = limit("recovery.switchover_deadline", Duration::MAX);
    let step = limit(
        "recovery.step_limit",
        STEP_LIMIT.min(drain.1 / 2).min(switchover.1 / 2),
    );
    let revoke = limit("recovery.revoke_limit", REVOKE_LIMIT.min(step.1));
    let lag = limit("recovery.switchover_lag_limit", Duration::MAX);
    shorter(document, step, drain);
    shorter(document, step, switchover);
    not_longer(document, revoke, step);
    RecoverySettings {
        automatic: document.texts("recovery.automatic"),
        risk: document
            .text("recovery.risk")
            .and_then(|word| Risk::from_word(&word))
            .unwrap_or_default(),
        intermediate: document.flag("recovery.intermediate"),
        rejoin: match document.text("recovery.rejoin").as_deref() {
            Some("fence-and-attach") => RejoinMode::FenceAndAttach,
            Some("fence") => RejoinMode::Fence,
            _ => RejoinMode::Off,
        },
        drain_limit: drain.1,
        step_limit: step.1,
        revoke_limit: revoke.1,
        switchover_lag_limit: lag.1,
        switchover_deadline: switchover.1,
        peer_confirmations: document.whole("recovery.peer_confirmations").unwrap_or(0),
        without_backend: document.flag("recovery.without_backend"),
        kv_prefix: document.text("recovery.kv_prefix").unwrap_or_default(),
    }
}

fn analysis(document: &Document) -> AnalysisLimits {
    let limit = |key: &str| document.duration(key).unwrap_or(Duration::MAX);
    AnalysisLimits {
        lag_limit: limit("topology.lag_limit"),
        receiver_silence: limit("analysis.receiver_silence"),
        reconnect_patience: limit("analysis.reconnect_patience"),
        commit_stall_limit: limit("analysis.commit_stall_limit"),
        semi_sync_stall_limit: limit("analysis.semi_sync_stall_limit"),
        return_patience: limit("analysis.return_patience"),
    }
}

fn policy(document: &mut Document, data_dir: &Path, around: &Surroundings<'_>) -> PolicySettings {
    let mut component = |section: &str, judge: &PolicyJudge<'_>| {
        let key = format!("{section}.plugin");
        let source = plugin(document, &key, data_dir, around);
        let settings = document.free(&format!("{section}.settings"));
        // A plugin whose file cannot be read was objected to already.
        if document.is_sound(&key)
            && let Err(problems) = judge(&source, &settings)
        {
            for why in problems {
                document.object(&key, why);
            }
        }
        (source, settings)
    };
    let (failover, settings) = component("policy.failover", around.policy);
    let (backend, backend_settings) = component("policy.backend", around.selector);
    PolicySettings {
        failover,
        deadline: document.duration("policy.failover.deadline"),
        settings,
        backend,
        backend_settings,
    }
}

fn plugin(
    document: &mut Document,
    key: &str,
    data_dir: &Path,
    around: &Surroundings<'_>,
) -> PluginSource {
    let text = document.text(key).unwrap_or_default();
    if let Some(name) = text.strip_prefix("builtin:") {
        return PluginSource::Builtin(name.to_owned());
    }
    let path = data_dir.join(text);
    if let Err(error) = (around.read)(&path)
        && document.is_sound(key)
    {
        let why = format!(
            "cannot be read ({error}); the components inside the program are named builtin:NAME"
        );
        document.object(key, why);
    }
    PluginSource::File(path)
}

fn backend(document: &mut Document, data_dir: &Path, around: &Surroundings<'_>) -> BackendSettings {
    if !document.instances(databases::SECTION).is_empty() {
        for key in ["backend.kind", "backend.path"] {
            if document.is_given(key) && document.is_sound(key) {
                let why = format!("is of no use beside [[{}]]", databases::SECTION);
                document.object(key, why);
            }
        }
        return BackendSettings::Databases(databases::read(document, data_dir, around));
    }
    match document.text("backend.path").as_deref() {
        Some(":memory:") => BackendSettings::Memory,
        path => BackendSettings::Sqlite {
            path: data_dir.join(path.unwrap_or_default()),
        },
    }
}

fn log(document: &Document) -> LogSettings {
    LogSettings {
        format: match document.text("log.format").as_deref() {
            Some("json") => LogFormat::Json,
            _ => LogFormat::Text,
        },
        filter: document.text("log.filter").unwrap_or_default(),
    }
}

fn warnings(document: &Document, settings: &Settings) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let mut warn = |key: &str, why: &str| warnings.push(document.problem_at(key, why.to_owned()));
    if !settings.http.listen.ip().is_loopback()
        && settings.http.users.is_empty()
        && !settings.http.read_only
    {
        warn(
            "http.listen",
            "reachable from other machines, and without [[http.users]] everybody may change everything",
        );
    }
    if settings.recovery.automatic.is_empty() {
        warn(
            "recovery.automatic",
            "names no cluster: nothing is recovered without a person",
        );
    }
    if settings.recovery.rejoin == RejoinMode::FenceAndAttach && settings.replication.is_none() {
        warn(
            "replication",
            "is missing: a former primary that returns is fenced, and can rejoin only if its channel still has an account",
        );
    }
    if settings.backend == BackendSettings::Memory {
        warn(
            "backend.path",
            "the end of the process forgets everything, a recovery under way included",
        );
    }
    if let BackendSettings::Databases(clusters) = &settings.backend
        && let Some(ttl) = settings.node.lease_ttl
        && let Some(stall) = clusters.iter().map(|cluster| stall(cluster.kind)).max()
        && ttl < stall
    {
        let why = format!(
            "is shorter than the {stall:?} for which a database of this kind may stall when it loses a node, with a margin: a leader would give up"
        );
        warn("node.lease_ttl", &why);
    }
    warnings
}

/// How long a healthy cluster of this kind may keep a commit waiting, with a margin.
fn stall(kind: BackendKind) -> Duration {
    MySqlOptions::default().write_of(kind)
}

/// Addresses in a list; the rule of the key refused what is none.
fn addresses(document: &Document, key: &str) -> Vec<Address> {
    document
        .texts(key)
        .iter()
        .filter_map(|text| Address::parse(text, Some(MYSQL_PORT)).ok())
        .collect()
}

/// Refuses a value that another key has already.
pub(super) fn once(
    document: &mut Document,
    seen: &mut BTreeMap<String, String>,
    value: String,
    key: &str,
) {
    if value.is_empty() {
        return;
    }
    match seen.get(&value) {
        Some(other) if other == key => document.object(key, format!("{value} stands in it twice")),
        Some(other) => document.object(key, format!("{value} stands in {other} already")),
        None => {
            seen.insert(value, key.to_owned());
        }
    }
}

fn not_longer(document: &mut Document, short: (&str, Duration), long: (&str, Duration)) {
    relate(
        document,
        short,
        long,
        short.1 <= long.1,
        "must not be longer than",
    );
}

fn shorter(document: &mut Document, short: (&str, Duration), long: (&str, Duration)) {
    relate(
        document,
        short,
        long,
        short.1 < long.1,
        "must be shorter than",
    );
}

/// Blames the key that stands in the file, so that the message points at a line.
fn relate(
    document: &mut Document,
    short: (&str, Duration),
    long: (&str, Duration),
    holds: bool,
    relation: &str,
) {
    if holds || !document.is_sound(short.0) || !document.is_sound(long.0) {
        return;
    }
    let default = |key: &str| {
        if document.is_given(key) {
            ""
        } else {
            ", the default"
        }
    };
    let in_words = |duration: Duration| humantime::format_duration(duration).to_string();
    if document.is_given(short.0) || !document.is_given(long.0) {
        let why = format!(
            "{relation} {} (\"{}\"{})",
            long.0,
            in_words(long.1),
            default(long.0)
        );
        document.object(short.0, why);
    } else {
        let why = format!(
            "{} (\"{}\"{}) {relation} this",
            short.0,
            in_words(short.1),
            default(short.0)
        );
        document.object(long.0, why);
    }
}

/// Resolves a password.
pub(super) fn secret(
    document: &mut Document,
    key: &str,
    data_dir: &Path,
    around: &Surroundings<'_>,
) -> Secret {
    let Some(source) = document.secret(key) else {
        return Secret::default();
    };
    match reveal(source, data_dir, around) {
        Ok(text) => Secret::new(text),
        Err(why) => {
            document.object(key, why);
            Secret::default()
        }
    }
}

/// The text itself, or why it cannot be had.
pub(super) fn reveal(
    source: SecretSource,
    data_dir: &Path,
    around: &Surroundings<'_>,
) -> Result<String, String> {
    match source {
        SecretSource::Literal(text) => Ok(text),
        SecretSource::Env(name) => {
            (around.env)(&name).ok_or_else(|| format!("the environment variable {name} is not set"))
        }
        SecretSource::File(path) => {
            match (around.read)(&data_dir.join(&path)).map(String::from_utf8) {
                // Editors end files with a new line; no password ends with one.
                Ok(Ok(text)) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Ok(Err(_)) => Err("the file is not text".to_owned()),
                Err(error) => Err(format!("the file cannot be read ({error})")),
            }
        }
    }
}
