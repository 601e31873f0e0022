//! A control loop made of values, for tests of the HTTP APIs: clusters that stand still, and a list
//! of what was asked of it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a fixture of tests: one that cannot go on fails"
)]

mod foreseen;
mod requests;
pub mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use baton_control::{
    ChangePrimary, ClusterView, Control, NodeLife, NodeStatus, NodeView, OrderForecast, OrderKind,
    RequestError, Sureness,
};
use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{Downtime, PromotionRule, RecoveryKind, RecoveryOutcome};
use baton_core::planning::{AcceptedLoss, Explanation};
use baton_core::policy::Reach;
use baton_core::time::WallTime;
use baton_ports::{AuditRecord, PeerReport, PeerSighting, RecoveryRecord, Route, StepRecord};

pub use requests::{Got, delete, get, post, send};
pub use world::{recovery_row, steps_of, wall};

/// What a test may change about the node.
pub struct State {
    pub views: Vec<Arc<ClusterView>>,
    pub recoveries: Vec<RecoveryRecord>,
    pub calls: Vec<String>,
    pub leads: bool,
    pub store_problem: Option<String>,
    pub warm: bool,
    /// Every change is answered with this, if set.
    pub refusal: Option<RequestError>,
    pub outcome: RecoveryOutcome,
    /// Questions of other nodes that were kept.
    pub waits: u32,
    /// Where the node that leads serves.
    pub leader_url: Option<String>,
}

pub struct Fixture(pub Mutex<State>);

impl Fixture {
    pub fn new(views: Vec<ClusterView>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            views: views.into_iter().map(Arc::new).collect(),
            recoveries: world::recoveries(),
            calls: Vec::new(),
            leads: true,
            store_problem: None,
            warm: true,
            refusal: None,
            outcome: RecoveryOutcome::Succeeded,
            waits: 0,
            leader_url: None,
        })))
    }

    /// The usual three clusters.
    pub fn usual() -> Arc<Self> {
        Self::new(vec![world::blog(), world::pair(), world::shop()])
    }

    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    fn note(&self, call: String) -> Result<(), RequestError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(call);
        state.refusal.clone().map_or(Ok(()), Err)
    }

    fn change(
        &self,
        call: String,
        kind: RecoveryKind,
        to: Option<ServerId>,
    ) -> Result<RecoveryRecord, RequestError> {
        self.note(call)?;
        let mut row = recovery_row(7, kind);
        if let Some(to) = to {
            row.successor_address = to.as_str().parse().ok();
            row.successor = Some(to);
        }
        row.outcome = self.0.lock().unwrap().outcome;
        if row.outcome != RecoveryOutcome::Succeeded {
            row.errors = vec!["shop-2:3306 did not catch up".into()];
        }
        Ok(row)
    }
}

#[async_trait]
impl Control for Fixture {
    fn node(&self) -> NodeStatus {
        let state = self.0.lock().unwrap();
        NodeStatus {
            name: NodeName::new("baton-1"),
            version: "0.1.0".into(),
            token: "f00d".into(),
            started: wall(),
            lease: state.leads.then_some(LeaseEpoch(12)),
            stands_in: false,
            url: "http://10.0.0.1:3000".into(),
            barred: None,
            leader: Some(NodeName::new(if state.leads {
                "baton-1"
            } else {
                "baton-2"
            })),
            store_problem: state.store_problem.clone(),
            store: "sqlite".into(),
            policy: "failover-default@0.1.0".into(),
            recoveries_enabled: Some(true),
            warm: state.warm,
            counters: vec![
                ("probes_answered_total", 41.0),
                ("policy_seconds_total", 0.25),
            ],
        }
    }

    fn clusters(&self) -> Vec<Arc<ClusterView>> {
        self.0.lock().unwrap().views.clone()
    }

    fn find_cluster(&self, hint: &str) -> Option<Arc<ClusterView>> {
        let is_it = |v: &&Arc<ClusterView>| {
            v.snapshot.cluster.id.as_str() == hint || v.snapshot.cluster.name == hint
        };
        let found = self.clusters().iter().find(is_it).cloned();
        found.or_else(|| self.find_server(hint).map(|(view, _)| view))
    }

    fn find_server(&self, hint: &str) -> Option<(Arc<ClusterView>, ServerId)> {
        self.clusters().into_iter().find_map(|view| {
            let address = Address::parse(hint, Some(3306)).ok()?;
            let id = view.snapshot.addresses.get(&address)?.clone();
            Some((view, id))
        })
    }

    fn strays(&self) -> Vec<(Address, String)> {
        vec![("lost-1:3306".parse().unwrap(), "refused".into())]
    }

    async fn changed(&self, _: Option<&ClusterId>, limit: Duration) {
        tokio::time::sleep(limit).await;
    }

    async fn leader_url(&self) -> Option<String> {
        let state = self.0.lock().unwrap();
        state.leader_url.clone().filter(|_| !state.leads)
    }

    async fn nodes(&self) -> Vec<NodeView> {
        let leads = self.0.lock().unwrap().leads;
        let node = |name: &str, life: NodeLife, leads: bool| NodeView {
            name: Some(NodeName::new(name)),
            url: format!("http://{name}:3000"),
            version: Some("0.1.0".into()),
            token: Some("f00d".into()),
            life,
            answered_age: Some(Duration::from_millis(40)),
            leads,
            epoch: Some(LeaseEpoch(12)),
            store_answers: Some(true),
            hears: vec![NodeName::new("baton-2")],
        };
        vec![
            node("baton-1", NodeLife::This, leads),
            node("baton-2", NodeLife::Answers, !leads),
            node("baton-3", NodeLife::Gone, false),
        ]
    }

    async fn forget_node(&self, name: &NodeName, by: &str) -> Result<(), RequestError> {
        self.note(format!("forget node {name} by {by}"))
    }

    async fn reelect(&self, by: &str) -> Result<(), RequestError> {
        self.note(format!("reelect by {by}"))
    }

    async fn grab_election(&self, by: &str) -> Result<(), RequestError> {
        self.note(format!("grab election by {by}"))
    }

    fn peer_report(&self) -> PeerReport {
        let node = self.node();
        PeerReport {
            name: node.name,
            incarnation: node.token,
            acts: node.lease.is_some(),
            granted: node.lease.is_some(),
            epoch: LeaseEpoch(12),
            leader: node.leader,
            store_answers: node.store_problem.is_none(),
            backend_node: None,
            hears: vec![NodeName::new("baton-2")],
            primaries: vec![(
                ClusterId::new("c-shop"),
                ServerId::new("shop-1:3306"),
                LeaseEpoch(11),
            )],
        }
    }

    async fn peer_report_changed(&self, seen: &PeerReport, limit: Duration) -> PeerReport {
        self.set(|state| state.waits += 1);
        let deadline = tokio::time::Instant::now() + limit;
        while self.peer_report() == *seen && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.peer_report()
    }

    fn peer_sightings(&self, servers: &[Address]) -> Vec<PeerSighting> {
        let known = |address: &&Address| self.find_server(&address.to_string()).is_some();
        let sighting = |address: &Address| PeerSighting {
            address: address.clone(),
            reach: Reach::Silent,
            failure: Some("refused".into()),
            answered_age: Some(Duration::from_millis(1500)),
            attempt_age: None,
            failures: 3,
        };
        servers.iter().filter(known).map(sighting).collect()
    }

    async fn discover(&self, address: &Address, by: &str) -> Result<ServerId, RequestError> {
        self.note(format!("discover {address} by {by}"))?;
        Ok(ServerId::new(address.to_string()))
    }

    async fn refresh(&self, server: &ServerId) -> Result<(), RequestError> {
        self.note(format!("refresh {server}"))
    }

    async fn forget(
        &self,
        server: &ServerId,
        sureness: Sureness,
        by: &str,
    ) -> Result<(), RequestError> {
        let is_known =
            self.find_server(server.as_str()).is_some() || server.as_str() == "lost-1:3306";
        if !is_known {
            return Err(RequestError::NotFound {
                what: "server",
                name: server.as_str().into(),
            });
        }
        if server.as_str() == "shop-1:3306" && sureness == Sureness::Unasked {
            return Err(RequestError::Refused {
                message: "shop-1:3306 is the cluster's primary".into(),
                reasons: vec!["shop-1:3306 is the cluster's primary".into()],
            });
        }
        self.note(format!("forget {server} by {by}"))
    }

    async fn rename(&self, cluster: &ClusterId, name: &str, by: &str) -> Result<(), RequestError> {
        self.note(format!("rename {cluster} to {name} by {by}"))
    }

    async fn explain(&self, cluster: &ClusterId) -> Result<Explanation, RequestError> {
        let view = self.find_cluster(cluster.as_str()).unwrap();
        Ok(foreseen::explanation(&view))
    }

    async fn forecast(
        &self,
        cluster: &ClusterId,
        order: OrderKind,
    ) -> Result<OrderForecast, RequestError> {
        self.find_cluster(cluster.as_str()).unwrap();
        Ok(foreseen::forecast(&order))
    }

    async fn failover(&self, r: ChangePrimary) -> Result<RecoveryRecord, RequestError> {
        let call = format!(
            "failover {} to {:?} by {} within {}{}",
            r.cluster,
            r.to,
            r.by,
            limit(r.deadline),
            losing(r.accept_loss)
        );
        self.change(call, RecoveryKind::Failover, r.to)
    }

    async fn switchover(&self, r: ChangePrimary) -> Result<RecoveryRecord, RequestError> {
        let call = format!(
            "switchover {} to {:?} by {} within {}",
            r.cluster,
            r.to,
            r.by,
            limit(r.deadline)
        );
        self.change(call, RecoveryKind::Switchover, r.to)
    }

    async fn recover(
        &self,
        server: &ServerId,
        to: Option<ServerId>,
        accept_loss: Option<AcceptedLoss>,
        by: &str,
    ) -> Result<RecoveryRecord, RequestError> {
        self.change(
            format!("recover {server} to {to:?} by {by}{}", losing(accept_loss)),
            RecoveryKind::Failover,
            to,
        )
    }

    async fn rejoin(&self, server: &ServerId, by: &str) -> Result<RecoveryRecord, RequestError> {
        self.change(
            format!("rejoin {server} by {by}"),
            RecoveryKind::Rejoin,
            None,
        )
    }

    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRecord>, RequestError> {
        let all = self.0.lock().unwrap().recoveries.clone();
        let mine = all
            .into_iter()
            .filter(|row| cluster.is_none_or(|id| row.cluster == *id));
        Ok(mine.skip(skip as usize).take(limit as usize).collect())
    }

    async fn recovery(
        &self,
        id: &RecoveryId,
    ) -> Result<(RecoveryRecord, Vec<StepRecord>), RequestError> {
        let found = self
            .0
            .lock()
            .unwrap()
            .recoveries
            .iter()
            .find(|row| row.id == *id)
            .cloned();
        let row = found.ok_or(RequestError::NotFound {
            what: "recovery",
            name: id.as_str().into(),
        })?;
        Ok((row, steps_of(id)))
    }

    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        comment: &str,
    ) -> Result<u64, RequestError> {
        self.note(format!("acknowledge {id:?} {cluster:?} by {by}: {comment}"))?;
        Ok(1)
    }

    async fn set_downtime(
        &self,
        server: &ServerId,
        downtime: Option<Downtime>,
        by: &str,
    ) -> Result<(), RequestError> {
        let what =
            downtime.map(|d| format!("{} {} {:?}", d.owner, d.reason, d.ends.since(d.begins)));
        self.note(format!("downtime {server} {what:?} by {by}"))
    }

    async fn set_promotion(
        &self,
        server: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
        by: &str,
    ) -> Result<(), RequestError> {
        let ends = expires.is_some();
        self.note(format!(
            "promotion {server} {} ends {ends} by {by}",
            rule.word()
        ))
    }

    async fn set_recoveries_enabled(&self, enabled: bool, by: &str) -> Result<(), RequestError> {
        self.note(format!("recoveries {enabled} by {by}"))
    }

    async fn routes(&self) -> Result<Vec<Route>, RequestError> {
        Ok(["shop", "blog"]
            .map(|name| Route {
                key: format!("mysql/master/{name}"),
                value: format!("{name}-1:3306"),
                epoch: LeaseEpoch(12),
            })
            .to_vec())
    }

    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, RequestError> {
        let all = (0..50_u64).map(|n| AuditRecord {
            at: WallTime::from_millis(wall().millis() - n * 1000),
            kind: "discover".into(),
            server: Some(format!("shop-{}:3306", n % 4 + 1).parse().unwrap()),
            cluster: None,
            by: "ann".into(),
            text: format!("line {n}"),
        });
        Ok(all.skip(skip as usize).take(limit as usize).collect())
    }
}

fn limit(deadline: Option<std::time::Duration>) -> String {
    deadline.map_or_else(
        || "the configured time".to_owned(),
        |limit| format!("{limit:?}"),
    )
}

fn losing(accepted: Option<AcceptedLoss>) -> String {
    accepted.map_or_else(String::new, |loss| format!(" accepting {loss:?}"))
}
