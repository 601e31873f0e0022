//! Wiring: reads top to bottom as the list of what runs.

mod convert;
mod databases;
mod mover;
mod peers;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use baton_backend::{BackendHandle, PeerKnowledge};
use baton_control::{Control, Handle, Node, Ports};
use baton_core::time::{Timestamp, WallTime};
use baton_http::{HttpPeers, StartupRouter};
use baton_mysql::MysqlServers;
use baton_ports::Clock;
use baton_wasm::{PolicyChoice, WasmPolicies, WasmSelectors};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::mover::Mover;
use self::state::{State, Waiting};
use crate::causes::chain;
use crate::config::{BackendSettings, PluginSource, Settings};
use crate::telemetry;

/// One line about a configuration that is in order.
pub fn summary(settings: &Settings) -> String {
    let automatic = match settings.recovery.automatic.as_slice() {
        [] => "no cluster is recovered without a person".to_owned(),
        names => format!("recovered without a person: {}", names.join(", ")),
    };
    format!(
        "node {} listens on {}, {} seeds, policy {}; {automatic}",
        settings.node.name,
        settings.http.listen,
        settings.topology.seeds.len(),
        convert::plugin(&settings.policy.failover)
    )
}

/// Starts the policy host with the policy that the configuration names.
///
/// # Errors
/// Each thing that is wrong with the policy or its settings.
pub fn load_policies(
    plugin: &PluginSource,
    settings: &serde_json::Value,
) -> Result<WasmPolicies, Vec<String>> {
    let choice = PolicyChoice {
        plugin: convert::plugin(plugin),
        settings: settings.clone(),
    };
    WasmPolicies::start(&choice).map_err(|error| error.problems())
}

/// Loads the selector that the configuration names, beside the failover policies if there are any:
/// both then share one engine.
///
/// # Errors
/// Each thing that is wrong with the selector or its settings.
pub fn load_selectors(
    beside: Option<&WasmPolicies>,
    plugin: &PluginSource,
    settings: &serde_json::Value,
) -> Result<WasmSelectors, Vec<String>> {
    let choice = PolicyChoice {
        plugin: convert::plugin(plugin),
        settings: settings.clone(),
    };
    let loaded = match beside {
        Some(policies) => WasmSelectors::beside(policies, &choice),
        None => WasmSelectors::start(&choice),
    };
    loaded.map_err(|error| error.problems())
}

/// Runs a node until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// If the node cannot start, or a part of it failed.
pub fn run(
    settings: Settings,
    policies: WasmPolicies,
    selectors: WasmSelectors,
) -> anyhow::Result<()> {
    telemetry::init(&settings.log).context("setting up the log")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(serve(settings, Arc::new(policies), selectors))
}

async fn serve(
    settings: Settings,
    policies: Arc<WasmPolicies>,
    selectors: WasmSelectors,
) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    // Bound before the store is opened: a second node on the same port ends here and touches
    // nothing.
    let listener = TcpListener::bind(settings.http.listen)
        .await
        .with_context(|| format!("listening on {} (http.listen)", settings.http.listen))?;
    let prefix = convert::http(&settings)?.url_prefix;
    let startup = StartupRouter::new(prefix);
    let (stop, stopped) = watch::channel(false);
    let http = tokio::spawn(baton_http::serve(
        listener,
        startup.router(),
        until_set(stopped.clone()),
    ));
    tokio::spawn(reload_on_hangup(Arc::clone(&policies), settings.clone()));
    let told = stop_signal();
    tokio::pin!(told);
    let begun = tokio::select! {
        begun = begin(&settings, (policies, selectors), clock, &startup) => Some(begun?),
        () = &mut told => None,
    };
    let Some((node, state)) = begun else {
        tracing::info!("told to stop before the state store was there");
        stop.send_replace(true);
        return http
            .await
            .context("the HTTP task failed")?
            .context("serving HTTP");
    };
    tracing::info!(
        node = %settings.node.name, listen = %settings.http.listen, version = env!("CARGO_PKG_VERSION"), "serving"
    );
    let node = tokio::spawn(node.run(stopped));
    tokio::select! {
        () = told => tracing::info!("told to stop"),
        () = until_ended(&node) => {}
    }
    stop.send_replace(true);
    let node = node.await;
    http.await
        .context("the HTTP task failed")?
        .context("serving HTTP")?;
    state.close().await;
    node.context("the node's task failed")
}

/// Everything that a node needs, made and put together; serves the routes. Waits for databases that
/// are away.
async fn begin(
    settings: &Settings,
    (policies, selectors): (Arc<WasmPolicies>, WasmSelectors),
    clock: Arc<dyn Clock>,
    startup: &StartupRouter,
) -> anyhow::Result<(Node, State)> {
    let state = open_state(settings, selectors, Arc::clone(&clock), startup).await?;
    let http = convert::http(settings)?;
    let peers = HttpPeers::new(&settings.node.peers, http.url_prefix.clone());
    let peers = Arc::new(peers.context("preparing to speak to the other nodes (node.peers)")?);
    let servers = MysqlServers::new(convert::mysql(settings), Arc::clone(&clock));
    let ports = Ports {
        servers: Arc::new(servers),
        store: state.store(),
        policies: policies as Arc<dyn baton_ports::Policies>,
        peers: Arc::clone(&peers) as Arc<dyn baton_ports::Peers>,
        clock: Arc::clone(&clock),
    };
    let node = prepare(ports, settings, &state, startup).await?;
    let control = node.handle();
    let handle: Arc<dyn Control> = Arc::<Handle>::clone(&control);
    if let Some(backend) = state.backend() {
        tokio::spawn(inform(backend.clone(), Arc::clone(&control)));
    }
    let databases = backends(settings, &state, (control, clock), &peers);
    startup.serve(baton_http::router(handle, databases, http, &peers));
    Ok((node, state))
}

/// The node, as soon as the store can be read; an embedded one that cannot be is nothing to wait
/// for.
async fn prepare(
    ports: Ports,
    settings: &Settings,
    state: &State,
    startup: &StartupRouter,
) -> anyhow::Result<Node> {
    let mut waiting = Waiting::default();
    loop {
        match Node::prepare(ports.clone(), convert::control(settings)).await {
            Ok(node) => return Ok(node),
            Err(error) if state.backend().is_some() => {
                waiting.pause(startup, &chain(&error)).await;
            }
            Err(error) => return Err(error).context("reading the state store"),
        }
    }
}

async fn until_ended(task: &tokio::task::JoinHandle<()>) {
    while !task.is_finished() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn until_set(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is as good as being told.
    drop(stopped.wait_for(|stop| *stop).await);
}

async fn stop_signal() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// SIGHUP loads the policy's file anew, with the settings this process was started with; a policy
/// that is refused leaves the old one in force.
async fn reload_on_hangup(policies: Arc<WasmPolicies>, settings: Settings) {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        return;
    };
    while hangups.recv().await.is_some() {
        let policies = Arc::clone(&policies);
        let choice = choice(&settings);
        let reloaded =
            tokio::task::spawn_blocking(move || policies.reload(&choice).map(drop)).await;
        match reloaded {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(
                    error = chain(&error),
                    "policy not reloaded, the old one stays in force"
                );
            }
            Err(error) => {
                tracing::error!(%error, "policy not reloaded, the old one stays in force");
            }
        }
    }
}

async fn open_state(
    settings: &Settings,
    selectors: WasmSelectors,
    clock: Arc<dyn Clock>,
    startup: &StartupRouter,
) -> anyhow::Result<State> {
    match &settings.backend {
        BackendSettings::Sqlite { path } => State::embedded(path.clone()).await,
        BackendSettings::Memory => State::embedded(":memory:".into()).await,
        BackendSettings::Databases(clusters) => {
            let node = (settings.node.name.as_str(), settings.node.zone.clone());
            let selectors = Arc::new(selectors);
            let state =
                State::on_databases(node, clusters.clone(), selectors, clock, startup).await;
            if !convert::control(settings).without_backend {
                return Ok(state);
            }
            let node = settings.node.name.as_str();
            state
                .with_local_journal(node, &settings.node.data_dir)
                .await
        }
    }
}

/// The databases of the state, for the API.
fn backends(
    settings: &Settings,
    state: &State,
    (control, clock): (Arc<Handle>, Arc<dyn Clock>),
    peers: &Arc<HttpPeers>,
) -> Arc<dyn baton_http::Backends> {
    let described = convert::store(&settings.backend);
    let (Some((store, watch)), BackendSettings::Databases(clusters)) =
        (state.databases(), &settings.backend)
    else {
        return Arc::new(baton_http::Embedded { store: described });
    };
    let url = |peer: &String| peer.trim_end_matches('/').to_owned();
    let mover = Arc::new(Mover {
        described,
        watch: watch.clone(),
        store: Arc::clone(store),
        journal: state.journal(),
        clusters: clusters.clone(),
        control,
        clock,
        peers: Arc::clone(peers),
        peer_urls: settings.node.peers.iter().map(url).collect(),
        turn: tokio::sync::Mutex::default(),
    });
    tokio::spawn(Arc::clone(&mover).settle());
    mover
}

/// Tells the watch over the databases who leads and what the highest granted epoch is, which is how
/// it recognises a node that lost commits. An epoch under which somebody stands in is in no
/// database, and none must be mistrusted for lacking it.
async fn inform(backend: BackendHandle, handle: Arc<Handle>) {
    let targets = backend.targets();
    let mut seen = handle.peer_report();
    loop {
        let node = handle.node();
        backend.set_leader(node.lease.is_some());
        if let Some(epoch) = node.lease.filter(|_| !node.stands_in) {
            backend.note_epoch(epoch.0);
        }
        let used = targets.borrow().as_ref().map(|used| used.node_id.clone());
        handle.uses_backend_node(used);
        backend.set_peers(PeerKnowledge::of_reports(&handle.living_peers()));
        seen = handle
            .peer_report_changed(&seen, Duration::from_millis(500))
            .await;
    }
}

fn choice(settings: &Settings) -> PolicyChoice {
    PolicyChoice {
        plugin: convert::plugin(&settings.policy.failover),
        settings: settings.policy.settings.clone(),
    }
}

/// The clock of the machine.
#[derive(Debug)]
struct SystemClock {
    started: Instant,
}

impl SystemClock {
    fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        // Not zero: an instant before anything happened would look like "never".
        Timestamp::from_micros(micros.saturating_add(1))
    }

    fn wall(&self) -> WallTime {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
