//! From the configuration's settings to those of each part.

use anyhow::Context as _;
use baton_control::{ControlSettings, RejoinMode, ServerHint};
use baton_core::analysis::AnalysisSettings;
use baton_core::model::Place;
use baton_core::planning::PlanSettings;
use baton_mysql::{
    Account, CommitProbeSettings, Queries, ReplicationTls, ReplicationTlsMode, Secret,
    Settings as MysqlSettings, Tls,
};

use crate::config::{self, BackendSettings, PluginSource, Settings, TlsMode};

/// How a plugin is named to the policy host.
pub(super) fn plugin(source: &PluginSource) -> String {
    match source {
        PluginSource::Builtin(name) => format!("builtin:{name}"),
        PluginSource::File(path) => path.display().to_string(),
    }
}

pub(super) fn http(settings: &Settings) -> anyhow::Result<baton_http::HttpSettings> {
    let http = &settings.http;
    let users = http
        .users
        .iter()
        .map(|user| (user.name.clone(), user.password.reveal().to_owned()));
    Ok(baton_http::HttpSettings {
        read_only: http.read_only,
        users: users.collect(),
        url_prefix: http.url_prefix.parse().context("reading http.url_prefix")?,
    })
}

pub(super) fn mysql(settings: &Settings) -> MysqlSettings {
    let topology = &settings.topology;
    let account = |account: &config::Account| Account {
        user: account.user.clone(),
        password: Secret::new(account.password.reveal()),
    };
    MysqlSettings {
        account: account(&topology.account),
        tls: tls(&topology.tls),
        connect_timeout: topology.connect_timeout,
        // Greeting and authentication are answers like any other, but a first login hashes a
        // password.
        handshake_timeout: topology.read_timeout.max(topology.connect_timeout),
        replication: settings.replication.as_ref().map(account),
        replication_tls: settings.replication_tls.as_ref().map(replication_tls),
        queries: Queries {
            cluster_name: topology.queries.cluster_name.clone(),
            data_center: topology.queries.data_center.clone(),
            region: topology.queries.region.clone(),
            environment: topology.queries.environment.clone(),
            lag: topology.queries.lag.clone(),
        },
        commit_probe: topology
            .commit_probe
            .as_ref()
            .map(|probe| CommitProbeSettings {
                statement: probe.statement.clone(),
                interval: probe.interval,
                limit: probe.limit,
            }),
        ..MysqlSettings::new("", "")
    }
}

fn replication_tls(tls: &config::ReplicationTls) -> ReplicationTls {
    let config::ReplicationTls {
        mode,
        ca,
        ca_path,
        cert,
        key,
        cipher,
        crl,
        versions,
    } = tls.clone();
    ReplicationTls {
        mode: match mode {
            config::ReplicationTlsMode::Off => ReplicationTlsMode::Off,
            config::ReplicationTlsMode::Required => ReplicationTlsMode::Required,
            config::ReplicationTlsMode::VerifyCa => ReplicationTlsMode::VerifyCa,
            config::ReplicationTlsMode::VerifyIdentity => ReplicationTlsMode::VerifyIdentity,
        },
        ca,
        ca_path,
        cert,
        key,
        cipher,
        crl,
        versions,
    }
}

fn tls(tls: &config::Tls) -> Tls {
    match tls.mode {
        TlsMode::Off => Tls::Off,
        TlsMode::Preferred => Tls::Preferred,
        TlsMode::Required => Tls::Required {
            ca: None,
            verify_host: false,
        },
        TlsMode::VerifyIdentity => Tls::Required {
            ca: tls.ca.clone(),
            verify_host: true,
        },
    }
}

/// Where the state is, in words.
pub(super) fn store(backend: &BackendSettings) -> String {
    match backend {
        BackendSettings::Sqlite { path } => format!("sqlite {}", path.display()),
        BackendSettings::Memory => "sqlite :memory:".to_owned(),
        BackendSettings::Databases(clusters) => {
            let names = clusters.iter().map(|cluster| cluster.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        }
    }
}

pub(super) fn control(settings: &Settings) -> ControlSettings {
    let (topology, recovery) = (&settings.topology, &settings.recovery);
    let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let mut control = ControlSettings::new(settings.node.name.clone());
    env!("CARGO_PKG_VERSION").clone_into(&mut control.version);
    control.store = store(&settings.backend);
    if let BackendSettings::Databases(clusters) = &settings.backend {
        control.shared_store = true;
        control.lease_ttl = super::state::lease_ttl(clusters.iter().map(|cluster| cluster.kind));
    }
    control.lease_ttl = settings.node.lease_ttl.unwrap_or(control.lease_ttl);
    control.seeds.clone_from(&topology.seeds);
    control.poll_interval = topology.poll_interval;
    control.connect_limit = topology.connect_timeout;
    control.read_limit = topology.read_timeout;
    control.concurrency = size(topology.concurrency);
    control.silent_concurrency = size(topology.silent_concurrency);
    control.forget_after = topology.forget_after;
    control.url.clone_from(&settings.node.url);
    control.peers.clone_from(&settings.node.peers);
    control.without_backend = recovery.without_backend;
    control.confirmations = recovery.peer_confirmations;
    control.automatic.clone_from(&recovery.automatic);
    control.risk = recovery.risk;
    let risks = settings.clusters.iter();
    control.risks = risks
        .filter_map(|hint| Some((hint.name.clone(), hint.risk?)))
        .collect();
    control.intermediate = recovery.intermediate;
    control.rejoin = match recovery.rejoin {
        config::RejoinMode::FenceAndAttach => RejoinMode::FenceAndAttach,
        config::RejoinMode::Fence => RejoinMode::Fence,
        config::RejoinMode::Off => RejoinMode::Off,
    };
    control.switchover_lag_limit = recovery.switchover_lag_limit;
    control.switchover_deadline = recovery.switchover_deadline;
    control.route_prefix.clone_from(&recovery.kv_prefix);
    control.cluster_names = settings
        .clusters
        .iter()
        .flat_map(|hint| {
            hint.members
                .iter()
                .map(|member| (member.clone(), hint.name.clone()))
        })
        .collect();
    control.hints = settings
        .servers
        .iter()
        .map(|hint| (hint.address.clone(), server_hint(hint)))
        .collect();
    control.analysis = analysis(&settings.analysis);
    control.plan = PlanSettings {
        step_limit: recovery.step_limit,
        revoke_limit: recovery.revoke_limit,
        drain_limit: recovery.drain_limit,
        ..PlanSettings::default()
    };
    control
}

fn server_hint(hint: &config::ServerHint) -> ServerHint {
    let config::ServerHint {
        address: _,
        promotion,
        place,
        tags,
    } = hint;
    let known = *place != Place::default();
    ServerHint {
        promotion: Some(*promotion),
        place: known.then(|| place.clone()),
        tags: tags.iter().map(|tag| tag_pair(tag)).collect(),
    }
}

fn tag_pair(tag: &str) -> (String, String) {
    let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
    (key.to_owned(), value.to_owned())
}

fn analysis(limits: &config::AnalysisLimits) -> AnalysisSettings {
    let config::AnalysisLimits {
        lag_limit,
        receiver_silence,
        reconnect_patience,
        commit_stall_limit,
        semi_sync_stall_limit,
        return_patience,
    } = limits;
    AnalysisSettings {
        lag_limit: *lag_limit,
        receiver_silence: *receiver_silence,
        reconnect_patience: *reconnect_patience,
        commit_stall_limit: *commit_stall_limit,
        semi_sync_stall_limit: *semi_sync_stall_limit,
        return_patience: *return_patience,
    }
}
