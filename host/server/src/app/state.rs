//! The state store that the configuration names, ready to use.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use baton_backend::{Backend, BackendHandle, BackendSpec, ClusterSpec, MysqlNodes};
use baton_core::ids::NodeName;
use baton_core::policy::backend::BackendKind;
use baton_failsafe::{FailsafeOptions, FailsafeStore};
use baton_http::StartupRouter;
use baton_ports::{Clock, Selectors, Store};
use baton_store::{MySqlOptions, MySqlStore, SCHEMA_VERSION, Selector, SqliteOptions, SqliteStore};
use tokio::task::JoinHandle;

/// Between two looks of a starting node for a database node that it can use.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the log repeats what a starting node waits for.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// Where the state is kept.
pub(super) enum State {
    /// Embedded.
    Embedded(Arc<SqliteStore>),
    /// On one of several database nodes.
    Databases {
        store: Arc<MySqlStore>,
        backend: BackendHandle,
        watch: JoinHandle<()>,
        /// What goes on while they are away, if it is to.
        failsafe: Option<Failsafe>,
    },
}

/// A store in front of the databases, with a local disk, and the task that hands over what is
/// there.
pub(super) struct Failsafe {
    store: Arc<FailsafeStore>,
    attending: JoinHandle<()>,
}

impl State {
    pub(super) async fn embedded(path: PathBuf) -> anyhow::Result<Self> {
        let opened = SqliteStore::open(&path, &SqliteOptions::default()).await;
        let opened =
            opened.with_context(|| format!("opening the state store {}", path.display()))?;
        if opened.created {
            tracing::info!(path = %path.display(), "state store created");
        }
        Ok(Self::Embedded(Arc::new(opened.store)))
    }

    /// Watches the databases, and waits until the tables are there on the node that is selected,
    /// however long that takes.
    pub(super) async fn on_databases(
        (node, zone): (&str, Option<String>),
        clusters: Vec<ClusterSpec>,
        selectors: Arc<dyn Selectors>,
        clock: Arc<dyn Clock>,
        startup: &StartupRouter,
    ) -> Self {
        let spec = BackendSpec {
            node: node.to_owned(),
            zone,
            schema_version: SCHEMA_VERSION,
            clusters,
        };
        let nodes = Arc::new(MysqlNodes::new(&spec, Arc::clone(&clock)));
        let (run, backend) = Backend::new(spec, nodes, selectors, clock);
        let watch = tokio::spawn(run.run());
        let link = Arc::new(Link(backend.clone()));
        let store = MySqlStore::follow(backend.targets(), link, MySqlOptions::default());
        let mut waiting = Waiting::default();
        let found = loop {
            match store.prepare().await {
                Ok(found) => break found,
                Err(error) => {
                    let why = format!("{}; {}", crate::causes::chain(&error), why_none(&backend));
                    waiting.pause(startup, &why).await;
                }
            }
        };
        if found == 0 {
            tracing::info!("state tables created");
        }
        Self::Databases {
            store: Arc::new(store),
            backend,
            watch,
            failsafe: None,
        }
    }

    /// Keeps what is written under a lease in a file of `data_dir` as well, so that recoveries go
    /// on while the databases are away.
    pub(super) async fn with_local_journal(
        mut self,
        node: &str,
        data_dir: &Path,
    ) -> anyhow::Result<Self> {
        if let Self::Databases {
            store, failsafe, ..
        } = &mut self
        {
            let path = data_dir.join(journal_file(node));
            let shared = Arc::clone(store) as Arc<dyn Store>;
            let options = FailsafeOptions::of(NodeName::new(node));
            let local = SqliteStore::open(&path, &SqliteOptions::default()).await;
            let local =
                local.with_context(|| format!("opening the local journal {}", path.display()))?;
            let opened = FailsafeStore::open(shared, Arc::new(local.store), options).await;
            let opened =
                opened.with_context(|| format!("reading the local journal {}", path.display()))?;
            let opened = Arc::new(opened);
            let attended = Arc::clone(&opened);
            *failsafe = Some(Failsafe {
                store: opened,
                attending: tokio::spawn(async move { attended.attend().await }),
            });
        }
        Ok(self)
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Databases {
                failsafe: Some(failsafe),
                ..
            } => Arc::clone(&failsafe.store) as Arc<dyn Store>,
            Self::Databases { store, .. } => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// The local journal in front of the databases, if there is one.
    pub(super) fn journal(&self) -> Option<Arc<FailsafeStore>> {
        match self {
            Self::Embedded(_) => None,
            Self::Databases { failsafe, .. } => failsafe
                .as_ref()
                .map(|failsafe| Arc::clone(&failsafe.store)),
        }
    }

    /// The store on databases and the watch over them, if the state is on some.
    pub(super) fn databases(&self) -> Option<(&Arc<MySqlStore>, &BackendHandle)> {
        match self {
            Self::Embedded(_) => None,
            Self::Databases { store, backend, .. } => Some((store, backend)),
        }
    }

    /// The watch over the databases, if the state is on some.
    pub(super) fn backend(&self) -> Option<&BackendHandle> {
        match self {
            Self::Embedded(_) => None,
            Self::Databases { backend, .. } => Some(backend),
        }
    }

    pub(super) async fn close(self) {
        match self {
            Self::Embedded(store) => store.close().await,
            Self::Databases {
                watch, failsafe, ..
            } => {
                if let Some(failsafe) = failsafe {
                    failsafe.attending.abort();
                    failsafe.store.close().await;
                }
                watch.abort();
            }
        }
    }
}

/// Time to live of the lease: several times the longest stall that a healthy cluster of the kind
/// shows when it loses a node (measured, with the kinds' default timers). A shorter one makes
/// leaders give up during such a stall.
pub(super) fn lease_ttl(kinds: impl Iterator<Item = BackendKind>) -> Duration {
    let of = |kind| match kind {
        BackendKind::Galera | BackendKind::Ndb | BackendKind::GroupReplication => {
            Duration::from_secs(30)
        }
        BackendKind::MasterMaster | BackendKind::Sqlite => Duration::from_secs(10),
    };
    kinds.map(of).max().unwrap_or(Duration::from_secs(10))
}

/// Name of the local journal's file: each node its own, also where several share a directory.
fn journal_file(node: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = node
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    format!("baton-journal-{name}.db")
}

/// Says what a starting node waits for: to whoever asks at once, to the log when it begins and from
/// time to time.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    said: Option<Instant>,
}

impl Waiting {
    /// Says it, and waits until the next look.
    pub(super) async fn pause(&mut self, startup: &StartupRouter, why: &str) {
        self.say(startup, why);
        tokio::time::sleep(LOOK_EVERY).await;
    }

    fn say(&mut self, startup: &StartupRouter, why: &str) {
        startup.wait_for(format!(
            "this node has not read the state store since it started, so it does not know whose locks are votes and whether recoveries \
             are on, and acts on nothing until it has; waiting for a database node to keep the state on: {why}"
        ));
        if self.said.is_none_or(|said| said.elapsed() > SAY_EVERY) {
            self.said = Some(Instant::now());
            tracing::warn!(
                error = why,
                "the state store is not ready: waiting for it, and acting on nothing meanwhile"
            );
        }
    }
}

/// What stands against each node, for people.
fn why_none(backend: &BackendHandle) -> String {
    let status = backend.status().borrow().clone();
    let nodes = status.clusters.iter().flat_map(|cluster| &cluster.nodes);
    let lines: Vec<String> = nodes
        .map(|node| {
            let against: Vec<String> = node.against.iter().map(|c| c.text.clone()).collect();
            let failure = node.probe.failure.clone().unwrap_or_default();
            format!("{} ({failure}{})", node.address, against.join("; "))
        })
        .collect();
    lines.join(", ")
}

/// Tells the watch what the store meets, and the store what the watch knows.
struct Link(BackendHandle);

impl Selector for Link {
    fn failed(&self, generation: u64, class: &'static str) {
        self.0.report(generation, class);
    }

    fn reason(&self) -> String {
        let reasons = &self.0.status().borrow().selection.reasons.clone();
        let texts: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
        if texts.is_empty() {
            "none was selected".to_owned()
        } else {
            texts.join("; ")
        }
    }
}
