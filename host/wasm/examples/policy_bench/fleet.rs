//! Made-up clusters of any size.

use baton_core::model::{Flavor, LogFormat, PromotionRule, ThreadState};
use baton_core::policy::backend::{BackendKind, BackendNode, SelectQuestion};
use baton_core::policy::{
    AssessQuestion, Candidate, ChannelView, Cluster, Context, FindingView, PeerView, PlaceView,
    ProbeView, RankQuestion, Reach, Role, SemiSyncView, ServerView, Suggestion, VitalsView,
};

/// What each server of a question carries.
#[derive(Clone, Copy)]
pub(crate) struct Detail {
    /// Other Baton nodes with a view of it.
    pub(crate) peers: u32,
    /// Semi-sync state and vitals.
    pub(crate) semi_sync_and_vitals: bool,
}

pub(crate) fn assess_question(servers: u32, detail: Detail) -> AssessQuestion {
    AssessQuestion {
        context: context(detail),
        cluster: cluster(servers, detail),
        finding: FindingView {
            code: "primary-dead".into(),
            server: 0,
            held: 20,
            flaps: 0,
            elsewhere: 0,
            clusters: 40,
            suggestion: Suggestion::Act,
            reasons: Vec::new(),
        },
        approvals: Vec::new(),
        extra: None,
    }
}

/// Three of four replicas are candidates.
pub(crate) fn rank_question(servers: u32, detail: Detail) -> RankQuestion {
    let candidate = |server| Candidate {
        server,
        missing: Some(server % 7),
        unapplied: Some(server % 3),
        errant: Some(0),
        followers: servers.saturating_sub(2),
        warnings: Vec::new(),
    };
    RankQuestion {
        context: context(detail),
        cluster: cluster(servers, detail),
        purpose: "failover".into(),
        replaced: 0,
        candidates: (1..servers)
            .filter(|server| server % 4 != 0)
            .map(candidate)
            .collect(),
        requested: None,
        extra: None,
    }
}

fn context(detail: Detail) -> Context {
    Context {
        decision: "bench-1".into(),
        now: 1_800_000_000,
        node: "baton-1".into(),
        peers: (0..detail.peers)
            .map(|peer| format!("baton-{}", peer + 2))
            .collect(),
        peers_answering: detail.peers,
        extra: None,
    }
}

fn cluster(servers: u32, detail: Detail) -> Cluster {
    let place = |data_center: &str| PlaceView {
        data_center: data_center.into(),
        region: "eu".into(),
        environment: "prod".into(),
    };
    Cluster {
        id: "cluster-1".into(),
        name: "orders".into(),
        servers: (0..servers).map(|index| server(index, detail)).collect(),
        places: vec![place("fra-1"), place("fra-2"), place("ams-1")],
        primary: Some(0),
        automatic: true,
        recoveries: Vec::new(),
        tags: Vec::new(),
        extra: None,
    }
}

fn server(index: u32, detail: Detail) -> ServerView {
    let primary = index == 0;
    let state = if primary {
        Reach::Silent
    } else {
        Reach::Answering
    };
    let peer = |peer| PeerView {
        peer,
        probe: probe(state),
        age: 250,
    };
    ServerView {
        id: format!("db-{index}.example:3306"),
        address: format!("db-{index}.example:3306"),
        role: if primary {
            Role::Primary
        } else {
            Role::Replica
        },
        flavour: Flavor::Mariadb,
        version: (10, 11, 8),
        place: Some(index % 3),
        tags: None,
        promotion: PromotionRule::Neutral,
        probe: probe(state),
        peers: (0..detail.peers).map(peer).collect(),
        read_only: Some(!primary),
        super_read_only: None,
        log_bin: Some(true),
        log_updates: Some(true),
        log_format: Some(LogFormat::Row),
        channels: if primary { Vec::new() } else { vec![channel()] },
        semi_sync: detail.semi_sync_and_vitals.then(semi_sync),
        vitals: detail.semi_sync_and_vitals.then(vitals),
        executed: None,
        errant: Some(0),
        downtime: None,
        maintenance: false,
        extra: None,
    }
}

fn probe(state: Reach) -> ProbeView {
    let silent = state == Reach::Silent;
    ProbeView {
        state,
        failure: silent.then(|| "refused".into()),
        error_number: None,
        answered_age: Some(if silent { 900 } else { 5 }),
        attempt_age: Some(5),
        failures: u32::from(silent),
        successes: u32::from(!silent) * 1000,
        round_trip_us: Some(400),
    }
}

fn channel() -> ChannelView {
    ChannelView {
        name: None,
        source: Some(0),
        source_address: None,
        receiver: ThreadState::Connecting,
        applier: ThreadState::Running,
        receiver_error: 2003,
        applier_error: 0,
        observed_age: 5,
        read_after_loss: true,
        received_age: Some(900),
        progress_age: Some(900),
        lag: Some(0),
        delay: 0,
        auto_position: true,
        filtered: false,
        received: None,
        applied: None,
        unapplied: Some(0),
    }
}

fn semi_sync() -> SemiSyncView {
    SemiSyncView {
        source_enabled: true,
        source_active: true,
        wait_for: 1,
        clients: 2,
        waiting_sessions: 0,
        oldest_wait: None,
        timeout: Some(10_000),
        replica_enabled: true,
        replica_active: true,
    }
}

fn vitals() -> VitalsView {
    VitalsView {
        uptime: Some(4_000_000),
        connections: Some(120),
        connections_max: Some(1000),
        threads_running: Some(4),
        disk_free_mib: Some(90_000),
        disk_total_mib: Some(200_000),
        commit_age: Some(3),
        commit_stall: None,
    }
}

/// `nodes` backend nodes of three backends; the first one is in use and all are well.
pub(crate) fn select_question(nodes: u32) -> SelectQuestion {
    let mut context = context(Detail {
        peers: 0,
        semi_sync_and_vitals: false,
    });
    context.decision = "bench".into();
    SelectQuestion {
        context,
        nodes: (0..nodes).map(backend_node).collect(),
        current: Some(0),
        current_for: Some(3_600_000),
        leader: true,
        ..SelectQuestion::default()
    }
}

fn backend_node(index: u32) -> BackendNode {
    let (backend, kind) = match index % 3 {
        0 => ("galera", BackendKind::Galera),
        1 => ("ndb", BackendKind::Ndb),
        _ => ("pair", BackendKind::MasterMaster),
    };
    let address = format!("db-{index}.example.com:3306");
    BackendNode {
        id: format!("{backend}/{address}"),
        address,
        backend: backend.into(),
        kind,
        probe: probe(Reach::Answering),
        peers: Vec::new(),
        used_by: 1,
        ready: Some(true),
        not_ready: Vec::new(),
        proof_age: Some(200),
        proof_ok: Some(true),
        ready_for: Some(3_600_000),
        members: Some(3),
        members_seen: Some(3),
        epoch_behind: Some(0),
        facts: vec![
            ("wsrep_local_state".into(), "4".into()),
            ("wsrep_cluster_status".into(), "Primary".into()),
            ("wsrep_ready".into(), "ON".into()),
        ],
        tags: vec![("zone".into(), "a".into())],
    }
}
