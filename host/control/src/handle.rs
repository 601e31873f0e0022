//! The API of a node: reads from memory, requests to the loops, operators' settings to the store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::{Address, ClusterId, NodeName, RecoveryId, ServerId};
use baton_core::model::{Downtime, PromotionRule, Reach, Switch};
use baton_core::planning::{AcceptedLoss, Explanation};
use baton_core::time::{Timestamp, WallTime};
use baton_ports::{
    AuditRecord, LeaseState, PeerReport, PeerSighting, RecoveryRecord, Route, StepRecord,
};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::api::{
    ChangePrimary, ClusterView, Control, NodeStatus, NodeView, OrderForecast, RequestError,
    Sureness, store_error,
};
use crate::clusters::{ClusterTable, Request, explain, forecast};
use crate::counters::Counters;
use crate::inventory::{Operators, Registry};
use crate::leadership::{HeldLease, Leadership, LeaseKeeper};
use crate::node::Ports;
use crate::order_kind::OrderKind;
use crate::store_retry::retry_while_unavailable;

/// How long a forgotten server is not learned again from its neighbours.
const FORGOTTEN_FOR: Duration = Duration::from_secs(60);

/// Implements [`Control`] for a running node.
pub struct Handle {
    pub(crate) ports: Ports,
    pub(crate) registry: Arc<Registry>,
    pub(crate) operators: Arc<Operators>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) clusters: Arc<ClusterTable>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) started: WallTime,
}

impl Handle {
    /// The lease as the store knows it, if this node holds it there: for whoever moves the store.
    pub fn lease(&self) -> Option<HeldLease> {
        self.lease.in_store()
    }

    /// The whole store was moved, and the lease with it, after `before` by this node's clock. False
    /// if it is not this node's there.
    pub fn lease_moved(&self, state: &LeaseState, before: Timestamp) -> bool {
        self.lease.moved(state, before)
    }

    /// Which node of its backend this node uses now, as `<backend>/<host:port>`: the others are
    /// told.
    pub fn uses_backend_node(&self, node: Option<String>) {
        self.leadership.set_backend_node(node);
    }

    /// What the other nodes that answer said last.
    pub fn living_peers(&self) -> Vec<PeerReport> {
        self.leadership.peer_reports()
    }

    fn views(&self) -> Vec<Arc<ClusterView>> {
        self.clusters.views()
    }

    fn view(&self, id: &ClusterId) -> Result<Arc<ClusterView>, RequestError> {
        let found = self
            .views()
            .into_iter()
            .find(|view| view.snapshot.cluster.id == *id);
        found.ok_or_else(|| RequestError::not_found("cluster", id.as_str()))
    }

    fn cluster_of(&self, server: &ServerId) -> Result<ClusterId, RequestError> {
        let inventory = self.registry.latest();
        let entry = inventory
            .servers
            .get(server)
            .ok_or_else(|| RequestError::not_found("server", server.as_str()))?;
        entry
            .cluster
            .clone()
            .ok_or_else(|| RequestError::not_found("cluster", server.as_str()))
    }

    async fn order(
        &self,
        cluster: &ClusterId,
        kind: OrderKind,
        by: &str,
        deadline: Option<Duration>,
    ) -> Result<RecoveryRecord, RequestError> {
        if self.lease.epoch_for(Duration::ZERO).is_none() {
            return Err(RequestError::NotLeader {
                leader: self.lease.leader(),
            });
        }
        let found = self.clusters.require(cluster)?;
        let (reply, answer) = oneshot::channel();
        let deadline = deadline.map(|limit| self.ports.clock.now().plus(limit));
        let text = kind.to_string();
        let request = Request {
            kind,
            by: by.to_owned(),
            deadline,
            reply,
        };
        let busy = || RequestError::refused("too many requests are waiting for this cluster");
        found.requests.try_send(request).map_err(|_| busy())?;
        self.note("order", None, Some(cluster), by, text).await;
        answer
            .await
            .map_err(|_| RequestError::refused("the node is stopping"))?
    }
}

#[async_trait]
impl Control for Handle {
    fn node(&self) -> NodeStatus {
        let inventory = self.registry.latest();
        let warm = inventory
            .servers
            .values()
            .all(|entry| entry.probe.reach() != Reach::NotProbed);
        let settings = &self.registry.settings;
        NodeStatus {
            name: settings.node.clone(),
            version: settings.version.clone(),
            token: self.leadership.token.clone(),
            started: self.started,
            lease: self.lease.epoch_for(Duration::ZERO),
            stands_in: self.lease.leads_without_store(),
            barred: self.lease.barred(),
            leader: self.lease.leader(),
            url: settings.url.clone(),
            store_problem: self.lease.problem(),
            store: settings.store.clone(),
            policy: self.ports.policies.describe(),
            recoveries_enabled: match inventory.switch {
                Some(Switch::On) => Some(true),
                Some(Switch::Off) => Some(false),
                Some(Switch::Unreadable) | None => None,
            },
            warm,
            counters: self.counters.all(),
        }
    }

    fn clusters(&self) -> Vec<Arc<ClusterView>> {
        let mut views = self.views();
        views.sort_by(|a, b| a.snapshot.cluster.name.cmp(&b.snapshot.cluster.name));
        views
    }

    fn find_cluster(&self, hint: &str) -> Option<Arc<ClusterView>> {
        let views = self.views();
        let exact = views.iter().find(|view| {
            view.snapshot.cluster.id.as_str() == hint || view.snapshot.cluster.name == hint
        });
        exact
            .cloned()
            .or_else(|| self.find_server(hint).map(|(view, _)| view))
    }

    fn find_server(&self, hint: &str) -> Option<(Arc<ClusterView>, ServerId)> {
        let address = Address::parse(hint, Some(3306)).ok();
        self.views().into_iter().find_map(|view| {
            let by_id = view
                .snapshot
                .servers
                .keys()
                .find(|id| id.as_str() == hint)
                .cloned();
            let by_address = || {
                address
                    .as_ref()
                    .and_then(|a| view.snapshot.addresses.get(a))
                    .cloned()
            };
            let found = by_id.or_else(by_address)?;
            Some((view, found))
        })
    }

    fn strays(&self) -> Vec<(Address, String)> {
        let inventory = self.registry.latest();
        inventory
            .servers
            .values()
            .filter(|entry| entry.cluster.is_none() && !entry.unconfirmed)
            .map(|entry| {
                let failure = entry.probe.failure.as_ref();
                let text =
                    failure.map_or("not answered yet", baton_core::model::ProbeFailure::word);
                (entry.address.clone(), text.to_owned())
            })
            .collect()
    }

    async fn changed(&self, _cluster: Option<&ClusterId>, limit: Duration) {
        let mut changes = self.registry.subscribe();
        changes.mark_unchanged();
        // An elapsed limit is an answer like any other: nothing changed.
        drop(timeout(limit, changes.changed()).await);
    }

    async fn leader_url(&self) -> Option<String> {
        self.leadership.leader_url().await
    }

    async fn nodes(&self) -> Vec<NodeView> {
        self.leadership.nodes().await
    }

    async fn forget_node(&self, name: &NodeName, by: &str) -> Result<(), RequestError> {
        self.leadership.forget_node(name).await?;
        let text = format!("forget node {name}");
        self.note("forget-node", None, None, by, text).await;
        Ok(())
    }

    async fn reelect(&self, by: &str) -> Result<(), RequestError> {
        let text = "the lease is given up".to_owned();
        self.leadership.may_step_down()?;
        self.note("reelect", None, None, by, text).await;
        self.lease.step_down().await;
        Ok(())
    }

    async fn grab_election(&self, by: &str) -> Result<(), RequestError> {
        let text = format!("{} takes the lease", self.registry.settings.node);
        self.note("grab-election", None, None, by, text).await;
        self.leadership.lead().await
    }

    fn peer_report(&self) -> PeerReport {
        self.leadership.report()
    }

    async fn peer_report_changed(&self, seen: &PeerReport, limit: Duration) -> PeerReport {
        self.leadership.report_changed(seen, limit).await
    }

    fn peer_sightings(&self, servers: &[Address]) -> Vec<PeerSighting> {
        self.leadership.sightings(servers)
    }

    async fn discover(&self, address: &Address, by: &str) -> Result<ServerId, RequestError> {
        let settings = &self.registry.settings;
        let id = self.registry.learn(address);
        self.note(
            "discover",
            Some(&id),
            None,
            by,
            format!("discover {address}"),
        )
        .await;
        let until = self
            .ports
            .clock
            .now()
            .plus((settings.connect_limit + settings.read_limit) * 2);
        loop {
            let state = {
                let inventory = self.registry.latest();
                let id = inventory.addresses.get(address).cloned();
                id.and_then(|id| {
                    inventory
                        .servers
                        .get(&id)
                        .map(|e| (id.clone(), e.probe.clone(), e.cluster.clone()))
                })
            };
            match state {
                Some((id, probe, Some(_))) if probe.reach() == Reach::Answering => return Ok(id),
                Some((_, probe, _)) if probe.failures > 0 => {
                    let failure = probe.failure.map_or("unknown", |failure| failure.word());
                    return Err(RequestError::refused(&format!(
                        "{address} does not answer ({failure}); it is watched from now on"
                    )));
                }
                Some((id, _, _)) if self.ports.clock.now() > until => return Ok(id),
                Some(_) => sleep(Duration::from_millis(20)).await,
                None => return Err(RequestError::not_found("server", &address.to_string())),
            }
        }
    }

    async fn refresh(&self, server: &ServerId) -> Result<(), RequestError> {
        let address = self
            .registry
            .address(server)
            .ok_or_else(|| RequestError::not_found("server", server.as_str()))?;
        let settings = &self.registry.settings;
        let failed = |failure: baton_core::model::ProbeFailure| {
            self.registry.failed(
                server,
                failure.clone(),
                self.ports.clock.now(),
                self.ports.clock.wall(),
            );
            RequestError::refused(&format!("{address} does not answer ({})", failure.word()))
        };
        let watch = self
            .ports
            .servers
            .watch(&address, settings.connect_limit)
            .await;
        let mut watch = watch.map_err(failed)?;
        let answer = watch
            .read(Duration::ZERO, settings.read_limit)
            .await
            .map_err(failed)?;
        let clock = &self.ports.clock;
        self.registry
            .answered(server, answer, clock.now(), clock.wall());
        Ok(())
    }

    async fn forget(
        &self,
        server: &ServerId,
        sureness: Sureness,
        by: &str,
    ) -> Result<(), RequestError> {
        let cluster = self.cluster_of(server).ok();
        if sureness == Sureness::Unasked {
            self.refuse_in_use(cluster.as_ref(), server)?;
        }
        self.note(
            "forget",
            Some(server),
            cluster.as_ref(),
            by,
            format!("forget {server}"),
        )
        .await;
        let until = self.ports.clock.now().plus(FORGOTTEN_FOR);
        let known = self.registry.forget(server, until).is_some();
        // Asked again after the store failed to answer, memory knows it no more, but the store may.
        let store = &self.ports.store;
        let recorded = retry_while_unavailable(|| store.forget_server(server)).await;
        let recorded = recorded.map_err(|error| store_error(&error))?;
        if known || recorded {
            Ok(())
        } else {
            Err(RequestError::not_found("server", server.as_str()))
        }
    }

    async fn rename(&self, cluster: &ClusterId, name: &str, by: &str) -> Result<(), RequestError> {
        let name = name.trim();
        if name.is_empty()
            || name.len() > 128
            || name.contains(|c: char| c.is_control() || c == '/')
        {
            let text = format!(
                "{name:?} is no name: 1 to 128 characters without / and control characters"
            );
            return Err(RequestError::Invalid(text));
        }
        self.view(cluster)?;
        self.ports
            .store
            .put_cluster(cluster, name)
            .await
            .map_err(|error| store_error(&error))?;
        self.registry.rename(cluster, name);
        self.note(
            "rename",
            None,
            Some(cluster),
            by,
            format!("rename to {name}"),
        )
        .await;
        Ok(())
    }

    async fn explain(&self, cluster: &ClusterId) -> Result<Explanation, RequestError> {
        let view = self.view(cluster)?;
        let found = self.clusters.require(cluster)?;
        let settings = &self.registry.settings;
        Ok(explain(&found.policy, settings, &found.published, &view).await)
    }

    async fn forecast(
        &self,
        cluster: &ClusterId,
        order: OrderKind,
    ) -> Result<OrderForecast, RequestError> {
        let view = self.view(cluster)?;
        let found = self.clusters.require(cluster)?;
        let settings = &self.registry.settings;
        forecast(&found.policy, settings, &view.snapshot, order).await
    }

    async fn failover(&self, request: ChangePrimary) -> Result<RecoveryRecord, RequestError> {
        let kind = OrderKind::Failover {
            to: request.to,
            accept_loss: request.accept_loss,
        };
        self.order(&request.cluster, kind, &request.by, request.deadline)
            .await
    }

    async fn switchover(&self, request: ChangePrimary) -> Result<RecoveryRecord, RequestError> {
        let kind = OrderKind::Switchover { to: request.to };
        let configured = self.registry.settings.switchover_deadline;
        let deadline = request.deadline.unwrap_or(configured);
        self.order(&request.cluster, kind, &request.by, Some(deadline))
            .await
    }

    async fn recover(
        &self,
        server: &ServerId,
        to: Option<ServerId>,
        accept_loss: Option<AcceptedLoss>,
        by: &str,
    ) -> Result<RecoveryRecord, RequestError> {
        let cluster = self.cluster_of(server)?;
        let kind = OrderKind::Recover {
            server: server.clone(),
            to,
            accept_loss,
        };
        self.order(&cluster, kind, by, None).await
    }

    async fn rejoin(&self, server: &ServerId, by: &str) -> Result<RecoveryRecord, RequestError> {
        let cluster = self.cluster_of(server)?;
        self.order(
            &cluster,
            OrderKind::Rejoin {
                server: server.clone(),
            },
            by,
            None,
        )
        .await
    }

    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRecord>, RequestError> {
        let rows = self
            .ports
            .store
            .recoveries(cluster, skip, limit.min(1000))
            .await;
        rows.map_err(|error| store_error(&error))
    }

    async fn recovery(
        &self,
        id: &RecoveryId,
    ) -> Result<(RecoveryRecord, Vec<StepRecord>), RequestError> {
        let store = &self.ports.store;
        let row = store
            .recovery(id)
            .await
            .map_err(|error| store_error(&error))?;
        let row = row.ok_or_else(|| RequestError::not_found("recovery", id.as_str()))?;
        let steps = store.steps(id).await.map_err(|error| store_error(&error))?;
        Ok((row, steps))
    }

    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        comment: &str,
    ) -> Result<u64, RequestError> {
        let at = self.ports.clock.wall();
        let store = &self.ports.store;
        let done =
            retry_while_unavailable(|| store.acknowledge(id, cluster, by, at, comment)).await;
        let count = done.map_err(|error| store_error(&error))?;
        self.note(
            "acknowledge",
            None,
            cluster,
            by,
            format!("{count} recoveries: {comment}"),
        )
        .await;
        self.reread().await;
        Ok(count)
    }

    async fn set_downtime(
        &self,
        server: &ServerId,
        downtime: Option<Downtime>,
        by: &str,
    ) -> Result<(), RequestError> {
        if self.registry.address(server).is_none() {
            return Err(RequestError::not_found("server", server.as_str()));
        }
        let store = &self.ports.store;
        let set = retry_while_unavailable(|| store.set_downtime(server, downtime.as_ref())).await;
        set.map_err(|error| store_error(&error))?;
        let (kind, text) = match &downtime {
            Some(downtime) => ("begin-downtime", downtime.reason.clone()),
            None => ("end-downtime", String::new()),
        };
        self.note(kind, Some(server), None, by, text).await;
        self.reread().await;
        Ok(())
    }

    async fn set_promotion(
        &self,
        server: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
        by: &str,
    ) -> Result<(), RequestError> {
        if self.registry.address(server).is_none() {
            return Err(RequestError::not_found("server", server.as_str()));
        }
        self.operators.write().await;
        let store = &self.ports.store;
        let set = retry_while_unavailable(|| store.set_promotion(server, rule, expires)).await;
        set.map_err(|error| store_error(&error))?;
        self.note("promotion", Some(server), None, by, rule.word().to_owned())
            .await;
        self.reread().await;
        Ok(())
    }

    async fn set_recoveries_enabled(&self, enabled: bool, by: &str) -> Result<(), RequestError> {
        let store = &self.ports.store;
        let set = retry_while_unavailable(|| store.set_recoveries_enabled(enabled)).await;
        set.map_err(|error| store_error(&error))?;
        let text = if enabled { "enabled" } else { "disabled" };
        self.note("recoveries", None, None, by, text.to_owned())
            .await;
        self.reread().await;
        Ok(())
    }

    async fn routes(&self) -> Result<Vec<Route>, RequestError> {
        let rows = self.ports.store.routes().await;
        rows.map_err(|error| store_error(&error))
    }

    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, RequestError> {
        let rows = self.ports.store.audits(skip, limit.min(1000)).await;
        rows.map_err(|error| store_error(&error))
    }
}
