//! The database nodes over the MySQL protocol: the only module here that sends SQL.

mod proof;
mod questions;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use baton_core::model::{ProbeFailure, TimeoutPhase};
use baton_core::policy::backend::BackendKind;
use baton_mysql::{Account, MysqlServers, ProbeSession, Settings};
use baton_ports::{
    BackendContent, BackendFacts, BackendNodes, BackendProof, BackendWatch, Clock, FactsAnswer,
    ProofAnswer, Servers as _, Session, WrongKind,
};

use crate::spec::{BackendSpec, ClusterSpec, NodeSpec, Timing};
use questions::Wording;

/// The configured nodes, in configured order.
pub struct MysqlNodes {
    nodes: Vec<Arc<MysqlNode>>,
    clock: Arc<dyn Clock>,
}

/// What is known of a node from one session to the next.
struct MysqlNode {
    spec: NodeSpec,
    kind: BackendKind,
    timing: Timing,
    /// Account that may change the roles of a pair.
    promoter: Account,
    /// The address has spoken the protocol.
    known: AtomicBool,
    wording: Mutex<Wording>,
}

impl MysqlNodes {
    /// Nothing is opened yet.
    pub fn new(spec: &BackendSpec, clock: Arc<dyn Clock>) -> Self {
        let clusters = spec.clusters.iter();
        let nodes = clusters.flat_map(|cluster| {
            let of = move |node| Arc::new(node_of(cluster, node));
            cluster.nodes.iter().map(of)
        });
        Self {
            nodes: nodes.collect(),
            clock,
        }
    }

    fn find(&self, node: usize) -> Result<&Arc<MysqlNode>, ProbeFailure> {
        let found = self.nodes.get(node);
        found.ok_or_else(|| ProbeFailure::Other("not a configured node".to_owned()))
    }
}

fn node_of(cluster: &ClusterSpec, node: &NodeSpec) -> MysqlNode {
    let promotion = cluster.promotion.as_ref();
    let promoter = promotion.and_then(|promotion| promotion.account.clone());
    MysqlNode {
        spec: node.clone(),
        kind: cluster.kind,
        timing: cluster.timing,
        promoter: promoter.unwrap_or_else(|| node.url.account.clone()),
        known: AtomicBool::new(false),
        wording: Mutex::default(),
    }
}

impl MysqlNode {
    fn settings(&self, account: &Account) -> Settings {
        let mut settings = Settings::new(account.user.clone(), "");
        settings.account = account.clone();
        settings.connect_timeout = self.timing.connect;
        settings.handshake_timeout = self.timing.connect;
        settings
    }

    fn wording(&self) -> Wording {
        *self.wording.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_wording(&self, wording: Wording) {
        *self.wording.lock().unwrap_or_else(PoisonError::into_inner) = wording;
    }
}

#[async_trait]
impl BackendNodes for MysqlNodes {
    async fn watch(
        &self,
        node: usize,
        limit: Duration,
    ) -> Result<Box<dyn BackendWatch>, ProbeFailure> {
        let node = self.find(node)?;
        let url = &node.spec.url;
        let settings = node.settings(&url.account);
        let known = node.known.load(Ordering::Relaxed);
        let opened = ProbeSession::open(&settings, &url.address, known, limit).await;
        let spoke = match &opened {
            Ok(_) => true,
            Err(failure) => failure.error_number().is_some(),
        };
        node.known.fetch_or(spoke, Ordering::Relaxed);
        Ok(Box::new(NodeSession {
            session: opened?,
            node: Arc::clone(node),
            clock: Arc::clone(&self.clock),
            fresh: true,
            framed: false,
        }))
    }

    async fn act(&self, node: usize, lock: &str, limit: Duration) -> Result<Session, ProbeFailure> {
        let node = self.find(node)?;
        let servers = MysqlServers::new(node.settings(&node.promoter), Arc::clone(&self.clock));
        servers.act(&node.spec.url.address, lock, limit).await
    }
}

/// A session on one node.
struct NodeSession {
    session: ProbeSession,
    node: Arc<MysqlNode>,
    clock: Arc<dyn Clock>,
    /// Nothing has been read yet.
    fresh: bool,
    /// Galera and Group Replication: reads of this session wait for the cluster at the moment.
    framed: bool,
}

#[async_trait]
impl BackendWatch for NodeSession {
    async fn facts(
        &mut self,
        pause: Duration,
        limit: Duration,
    ) -> Result<FactsAnswer, ProbeFailure> {
        let kind = self.node.kind;
        let answer = match questions::question(kind, self.node.wording(), pause) {
            Some(sql) => self.cluster_facts(&sql, pause, limit).await,
            None => self.pair_facts(pause, limit).await,
        }?;
        self.fresh = false;
        Ok(answer)
    }

    async fn prove(&mut self, limit: Duration) -> Result<ProofAnswer, ProbeFailure> {
        let kind = self.node.kind;
        let read = proof::read(&self.node.spec.url.database);
        let sql = match proof::frame(kind) {
            Some((before, after)) => {
                self.framed = true;
                format!("{before}; {read}; {after}")
            }
            None => read,
        };
        let proves = kind.is_synchronous();
        let held = if proves {
            BackendProof::Held
        } else {
            BackendProof::NotTried
        };
        match self.session.tables(&sql, limit).await {
            Ok(tables) => {
                self.framed = false;
                let content = tables.iter().find_map(proof::content);
                Ok(answer(held, content))
            }
            Err(ProbeFailure::Timeout(TimeoutPhase::Statement)) if proves => Ok(late()),
            Err(failure @ ProbeFailure::Timeout(_)) => Err(failure),
            Err(failure) => match (proof::absence(&failure), failure.error_number()) {
                (Some(content), _) => self.without_tables(held, content, limit).await,
                (None, Some(number)) if proves => Ok(ProofAnswer {
                    reusable: false,
                    ..answer(BackendProof::Refused(number), None)
                }),
                (None, _) => Err(failure),
            },
        }
    }
}

impl NodeSession {
    /// A node of a pair is read like a managed server.
    async fn pair_facts(
        &mut self,
        pause: Duration,
        limit: Duration,
    ) -> Result<FactsAnswer, ProbeFailure> {
        let sent = self.clock.now();
        if self.fresh && self.is_cluster_member(limit).await? {
            return Ok(FactsAnswer {
                began: sent,
                round_trip: self.clock.now().since(sent),
                facts: Err(WrongKind),
            });
        }
        let clock = self.clock.as_ref();
        let answer = self.session.server(clock, pause, limit).await?;
        Ok(FactsAnswer {
            began: answer.began,
            round_trip: answer.round_trip,
            facts: Ok(BackendFacts::Pair(Box::new(answer.facts))),
        })
    }

    /// What is said to be one of a pair belongs to a cluster of another kind.
    async fn is_cluster_member(&mut self, limit: Duration) -> Result<bool, ProbeFailure> {
        let tables = self.session.tables(questions::MEMBERSHIP, limit).await?;
        Ok(tables.first().is_some_and(questions::is_cluster_member))
    }

    async fn cluster_facts(
        &mut self,
        sql: &str,
        pause: Duration,
        limit: Duration,
    ) -> Result<FactsAnswer, ProbeFailure> {
        let kind = self.node.kind;
        let began = self.clock.now();
        let mut tables = self.session.tables(sql, pause + limit).await;
        if kind == BackendKind::Galera && tables.as_ref().is_err_and(questions::is_strange) {
            let other = self.node.wording().other();
            if let Some(sql) = questions::question(kind, other, Duration::ZERO) {
                tables = self.session.tables(&sql, limit).await;
                if tables.is_ok() {
                    self.node.set_wording(other);
                }
            }
        }
        let round_trip = self.clock.now().since(began).saturating_sub(pause);
        let facts = match tables.and_then(|tables| questions::answer(kind, &tables)) {
            Ok(facts) => Ok(facts),
            Err(failure) if questions::is_strange(&failure) => Err(WrongKind),
            Err(failure) => return Err(failure),
        };
        Ok(FactsAnswer {
            began,
            round_trip,
            facts,
        })
    }

    /// There is nothing to read yet.
    async fn without_tables(
        &mut self,
        held: BackendProof,
        mut content: BackendContent,
        limit: Duration,
    ) -> Result<ProofAnswer, ProbeFailure> {
        if !content.no_database && !content.denied {
            // MariaDB complains about the table even if the whole database is missing.
            let sql = proof::find_database(&self.node.spec.url.database);
            let tables = self.session.tables(&sql, limit).await?;
            content.no_database = tables.first().is_some_and(|table| table.first().is_none());
        }
        if self.node.kind != BackendKind::Ndb {
            return Ok(ProofAnswer {
                // The statement that ends the frame was not reached.
                reusable: !self.framed,
                ..answer(held, Some(content))
            });
        }
        let proof = match self.session.tables(proof::NDB_WITHOUT_TABLES, limit).await {
            Err(ProbeFailure::Timeout(_)) => return Ok(late()),
            Err(ProbeFailure::Statement { number }) if !proof::is_about_rights(number) => {
                BackendProof::Refused(number)
            }
            // Not every account may read ndbinfo: then the facts have to do until the tables exist.
            Ok(_) | Err(ProbeFailure::Statement { .. } | ProbeFailure::Authentication { .. }) => {
                held
            }
            Err(failure) => return Err(failure),
        };
        Ok(answer(proof, Some(content)))
    }
}

fn answer(proof: BackendProof, content: Option<BackendContent>) -> ProofAnswer {
    ProofAnswer {
        proof,
        content,
        reusable: true,
    }
}

/// The answer may still come: the session is of no use any more.
fn late() -> ProofAnswer {
    ProofAnswer {
        reusable: false,
        ..answer(BackendProof::Late, None)
    }
}
