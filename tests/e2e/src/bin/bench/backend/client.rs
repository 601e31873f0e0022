//! Baton's own store, writing all the time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use baton_backend::{
    Backend, BackendHandle, BackendSpec, ClusterSpec, DatabaseUrl, MysqlNodes, NodeSpec,
    PromotionSpec, Timing,
};
use baton_core::policy::backend::BackendKind;
use baton_core::time::{Timestamp, WallTime};
use baton_mysql::{Account, Secret};
use baton_ports::prelude::*;
use baton_ports::{AuditRecord, Clock, Target};
use baton_store::{MySqlOptions, MySqlStore, SCHEMA_VERSION, Selector};
use baton_wasm::{DEFAULT_SELECTOR, PolicyChoice, WasmSelectors};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between an answer and the next write: the resolution of what is measured.
const PACE: Duration = Duration::from_millis(2);

/// Writes until dropped.
pub(super) struct Client {
    acknowledged: Arc<Mutex<Vec<Instant>>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Real time.
#[derive(Debug)]
struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        WallTime::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

/// Passes what fails on to the watch over the nodes.
struct Watched(BackendHandle);

impl Selector for Watched {
    fn failed(&self, generation: u64, class: &'static str) {
        self.0.report(generation, class);
    }
}

/// One address for ever; after each failure as if it had just been chosen.
struct Fixed(watch::Sender<Option<Target>>);

impl Selector for Fixed {
    fn failed(&self, generation: u64, _class: &'static str) {
        self.0.send_if_modified(|target| {
            let current = target.as_mut().filter(|t| t.generation == generation);
            current.is_some_and(|target| {
                target.generation += 1;
                true
            })
        });
    }
}

impl Client {
    /// As in a node: the watch over all nodes, the default selector.
    pub(super) fn on_nodes(
        runtime: &Runtime,
        kind: BackendKind,
        urls: &[String],
        roles: Option<&str>,
    ) -> Result<Self> {
        let nodes = urls.iter().map(|url| {
            let url = DatabaseUrl::parse(url).map_err(|problem| anyhow!("{problem:?}"))?;
            let tags = Vec::new();
            Ok(NodeSpec { url, tags })
        });
        let promotion = roles.map(|account| PromotionSpec {
            account: Some(Account {
                user: account.into(),
                password: Secret::new(account),
            }),
            ..PromotionSpec::default()
        });
        let cluster = ClusterSpec {
            name: "state".into(),
            kind,
            nodes: nodes.collect::<Result<_>>()?,
            timing: Timing::default(),
            promotion,
        };
        let spec = BackendSpec {
            node: "bench".into(),
            zone: None,
            schema_version: SCHEMA_VERSION,
            clusters: vec![cluster],
        };
        let selectors = WasmSelectors::start(&PolicyChoice::of(DEFAULT_SELECTOR))
            .map_err(|error| anyhow!("{:?}", error.problems()))?;
        let clock = Arc::new(RealClock(Instant::now()));
        let nodes = Arc::new(MysqlNodes::new(&spec, clock.clone()));
        let (watch, handle) = Backend::new(spec, nodes, Arc::new(selectors), clock);
        let watching = runtime.spawn(watch.run());
        let selector = Arc::new(Watched(handle.clone()));
        let store = MySqlStore::follow(handle.targets(), selector, MySqlOptions::default());
        Ok(Self::start(runtime, store, vec![watching]))
    }

    /// The same store, but always at one address.
    pub(super) fn at(runtime: &Runtime, kind: BackendKind, address: SocketAddr) -> Self {
        let target = Target {
            node_id: format!("state/{address}"),
            url: format!("mysql://baton:baton@{address}/baton"),
            kind,
            generation: 1,
        };
        let (sender, receiver) = watch::channel(Some(target));
        let selector = Arc::new(Fixed(sender));
        let store = MySqlStore::follow(receiver, selector, MySqlOptions::default());
        Self::start(runtime, store, Vec::new())
    }

    fn start(runtime: &Runtime, store: MySqlStore, mut tasks: Vec<JoinHandle<()>>) -> Self {
        let acknowledged = Arc::new(Mutex::default());
        tasks.push(runtime.spawn(write(store, Arc::clone(&acknowledged))));
        Self {
            acknowledged,
            tasks,
        }
    }

    /// When the last write was acknowledged.
    pub(super) fn last(&self) -> Option<Instant> {
        self.acknowledged().last().copied()
    }

    /// The longest time without an acknowledged write that ended after a moment, milliseconds;
    /// none if writing has not gone on.
    pub(super) fn gap_after(&self, moment: Instant) -> Option<f64> {
        let acknowledged = self.acknowledged();
        let pairs = acknowledged.iter().zip(acknowledged.iter().skip(1));
        let gaps = pairs.filter(|(_, ended)| **ended > moment);
        let lengths = gaps.map(|(begun, ended)| ended.duration_since(*begun));
        lengths.max().map(|length| length.as_secs_f64() * 1000.0)
    }

    fn acknowledged(&self) -> Vec<Instant> {
        let list = self.acknowledged.lock();
        list.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn write(store: MySqlStore, acknowledged: Arc<Mutex<Vec<Instant>>>) {
    loop {
        let record = AuditRecord {
            at: WallTime::from_millis(1),
            kind: "bench".into(),
            server: None,
            cluster: None,
            by: "bench".into(),
            text: "a durable write".into(),
        };
        if store.audit(&record).await.is_ok() {
            let mut list = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
            list.push(Instant::now());
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Makes the tables, so that all clients find them.
pub(super) fn prepare(runtime: &Runtime, kind: BackendKind, address: SocketAddr) -> Result<()> {
    let target = Target {
        node_id: format!("state/{address}"),
        url: format!("mysql://baton:baton@{address}/baton"),
        kind,
        generation: 1,
    };
    let (_sender, receiver) = watch::channel(Some(target));
    let store = MySqlStore::follow(receiver, Arc::new(()), MySqlOptions::default());
    let prepared = runtime.block_on(store.prepare());
    prepared.map(drop).context("make the tables")
}
