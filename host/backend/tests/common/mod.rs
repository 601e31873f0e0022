//! What the tests with real servers share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use baton_backend::{
    Backend, BackendHandle, BackendSpec, ClusterSpec, DatabaseUrl, MysqlNodes, NodeSpec,
    PromotionSpec, Timing,
};
use baton_core::policy::backend::{BackendKind, NodeIndex, SelectQuestion, Selection};
use baton_core::time::{Timestamp, WallTime};
use baton_ports::{BackendNodeStatus, BackendStatus, Clock, PolicyReply, Selectors, Target};
use tokio::task::JoinHandle;

/// Far above what anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The rows that the watch reads, as the store makes them.
pub(crate) const TABLES: &str = "\
CREATE TABLE baton.baton_switch (name VARCHAR(32) NOT NULL PRIMARY KEY, enabled SMALLINT NOT NULL) ENGINE={engine};
CREATE TABLE baton.baton_lease (name VARCHAR(64) NOT NULL PRIMARY KEY, holder VARCHAR(190) NULL, epoch BIGINT NOT NULL) ENGINE={engine};
INSERT INTO baton.baton_lease VALUES ('fleet', 'n1', 7);
CREATE TABLE baton.baton_schema (version BIGINT NOT NULL PRIMARY KEY) ENGINE={engine};
INSERT INTO baton.baton_schema VALUES (1);";

/// Real time.
#[derive(Debug)]
struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap())
    }

    fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        WallTime::from_millis(u64::try_from(since.as_millis()).unwrap())
    }
}

/// Stays while it can, else the first that is ready.
#[derive(Debug)]
struct Sticky;

#[async_trait]
impl Selectors for Sticky {
    async fn select(&self, question: &SelectQuestion) -> PolicyReply<Selection> {
        let ready = |at: &usize| question.nodes[*at].ready == Some(true);
        let usable: Vec<usize> = (0..question.nodes.len()).filter(ready).collect();
        let stays = question
            .current
            .map(|at| at as usize)
            .filter(|at| usable.contains(at));
        let index = |at: usize| NodeIndex::try_from(at).unwrap();
        PolicyReply {
            answer: Selection {
                chosen: stays.or(usable.first().copied()).map(index),
                usable: usable.into_iter().map(index).collect(),
                reasons: Vec::new(),
            },
            policy: "sticky@1".into(),
            fallback: None,
            took: Duration::ZERO,
            log: Vec::new(),
        }
    }

    fn describe(&self) -> String {
        "sticky".into()
    }
}

/// A backend under watch.
pub(crate) struct Watched {
    pub(crate) handle: BackendHandle,
    task: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One backend named `state`.
pub(crate) fn cluster(kind: BackendKind, urls: &[String]) -> ClusterSpec {
    let nodes = urls.iter().map(|url| NodeSpec {
        url: DatabaseUrl::parse(url).unwrap(),
        tags: Vec::new(),
    });
    ClusterSpec {
        name: "state".into(),
        kind,
        nodes: nodes.collect(),
        timing: Timing::default(),
        promotion: (kind == BackendKind::MasterMaster).then(PromotionSpec::default),
    }
}

/// Starts to watch.
pub(crate) fn watch(clusters: Vec<ClusterSpec>) -> Watched {
    let spec = BackendSpec {
        node: "baton-1".into(),
        zone: None,
        schema_version: 1,
        clusters,
    };
    let clock = Arc::new(RealClock(Instant::now()));
    let nodes = Arc::new(MysqlNodes::new(&spec, clock.clone()));
    let (backend, handle) = Backend::new(spec, nodes, Arc::new(Sticky), clock);
    Watched {
        handle,
        task: tokio::spawn(backend.run()),
    }
}

impl Watched {
    /// Waits for a choice.
    pub(crate) async fn target(
        &self,
        what: &str,
        fits: impl Fn(Option<&Target>) -> bool,
    ) -> Option<Target> {
        let mut targets = self.handle.targets();
        let waited =
            tokio::time::timeout(LIMIT, targets.wait_for(|target| fits(target.as_ref()))).await;
        match waited {
            Ok(target) => target.unwrap().clone(),
            Err(late) => panic!(
                "waited in vain until {what} ({late}); last: {:#?}",
                self.status()
            ),
        }
    }

    /// Waits until the node with this number in the first cluster is in use; when that was.
    pub(crate) async fn uses(&self, node: usize) -> Instant {
        let id = self
            .status()
            .clusters
            .first()
            .map(|cluster| cluster.nodes[node].id.clone());
        let id = match id {
            Some(id) => id,
            None => self
                .until("there is a status", |status| !status.clusters.is_empty())
                .await
                .clusters[0]
                .nodes[node]
                .id
                .clone(),
        };
        self.target(&format!("{id} is in use"), |target| {
            target.is_some_and(|target| target.node_id == id)
        })
        .await;
        Instant::now()
    }

    /// Waits for a status.
    pub(crate) async fn until(
        &self,
        what: &str,
        fits: impl Fn(&BackendStatus) -> bool,
    ) -> Arc<BackendStatus> {
        let mut status = self.handle.status();
        let waited = tokio::time::timeout(LIMIT, status.wait_for(|status| fits(status))).await;
        match waited {
            Ok(status) => status.unwrap().clone(),
            Err(late) => panic!(
                "waited in vain until {what} ({late}); last: {:#?}",
                self.status()
            ),
        }
    }

    /// Waits for words against a node of the first cluster.
    pub(crate) async fn until_against(&self, node: usize, word: &str) -> BackendNodeStatus {
        let what = format!("{word} is said of node {node}");
        let status = self.until(&what, |status| {
            status
                .clusters
                .first()
                .is_some_and(|cluster| has(&cluster.nodes[node], word))
        });
        status.await.clusters[0].nodes[node].clone()
    }

    pub(crate) fn status(&self) -> Arc<BackendStatus> {
        self.handle.status().borrow().clone()
    }
}

/// True if the word stands against the node, or beside it.
pub(crate) fn has(node: &BackendNodeStatus, word: &str) -> bool {
    let mut words = node.against.iter().chain(&node.notes);
    words.any(|condition| condition.word.as_str() == word)
}
