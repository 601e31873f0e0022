//! Health of the service.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use baton_control::{NodeLife, NodeStatus, NodeView};
use baton_core::time::WallTime;

use crate::Context;
use crate::answer::{Answer, Failure, bare, done, json};
use crate::endpoint::{Endpoint, Outcome};
use crate::shape::{HealthStatus, KeyValue, NodeHealth, Nothing, RecoveryFilters};
use baton_http_core::times::{now, rfc3339, spaced};

/// The paths of this group.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let leader_about = "200 on the leader, elsewhere 404 or `:status`";
    let routed_about = "200 where changes reach the leader, elsewhere 404 or `:status`";
    vec![
        Endpoint::read("lb-check", "`OK`", |_, []| bare("OK")),
        Endpoint::read("_ping", "`OK`", |_, []| bare("OK")),
        Endpoint::read("leader-check", leader_about, |c, []| {
            leader_check(leads(c), "404")
        }),
        Endpoint::read("leader-check/:status", leader_about, |c, [status]| {
            leader_check(leads(c), status)
        }),
        Endpoint::read_later("routed-leader-check", routed_about, |c, []| {
            Box::pin(routed_leader_check(c, "404"))
        }),
        Endpoint::read_later(
            "routed-leader-check/:status",
            routed_about,
            |c, [status]| Box::pin(routed_leader_check(c, status)),
        ),
        Endpoint::read_later("health", "of the node and its store", |c, []| {
            Box::pin(health(c))
        }),
        Endpoint::read_later("status", "of the node and its store", |c, []| {
            Box::pin(health(c))
        }),
        Endpoint::read(
            "headers",
            "the request's headers without secrets",
            |c, []| headers(c),
        ),
        Endpoint::read(
            "check-global-recoveries",
            "`enabled` or `disabled`",
            |c, []| check_global_recoveries(c),
        ),
        Endpoint::read(
            "automated-recovery-filters",
            "clusters that are recovered",
            |c, []| filters(c),
        ),
    ]
}

async fn routed_leader_check(context: &Context, status: &str) -> Outcome {
    leader_check(reaches_leader(context).await, status)
}

fn leads(context: &Context) -> bool {
    context.api.control.node().lease.is_some()
}

/// Whether changes that are asked of this node reach the one that leads.
async fn reaches_leader(context: &Context) -> bool {
    let nodes = context.api.control.nodes().await;
    nodes.iter().any(|node| node.leads)
}

fn leader_check(is_good: bool, status: &str) -> Outcome {
    if is_good {
        return bare("OK");
    }
    let asked = status
        .parse::<u16>()
        .ok()
        .filter(|code| (200..600).contains(code));
    let status = asked
        .and_then(|code| StatusCode::from_u16(code).ok())
        .unwrap_or(StatusCode::NOT_FOUND);
    Ok(Answer::Status(status, json("Not leader")?))
}

async fn health(context: &Context) -> Outcome {
    let node = context.api.control.node();
    let problem = node.store_problem.clone();
    let status = health_status(&node, &context.api.control.nodes().await);
    match problem {
        None => done("Application node is healthy", &status),
        Some(problem) => Err(Failure::Error {
            message: format!("Application node is unhealthy {problem}"),
            details: Some(json(&status)?),
        }),
    }
}

fn before(age: Duration) -> WallTime {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    WallTime::from_millis(now().millis().saturating_sub(age))
}

/// A node as the predecessor lists it, if it lives.
fn node_health(view: &NodeView, own: &NodeStatus) -> Option<NodeHealth> {
    let (since, seen) = match view.life {
        NodeLife::This => (spaced(own.started), now()),
        NodeLife::Answers => (String::new(), before(view.answered_age?)),
        NodeLife::Gone | NodeLife::Silent | NodeLife::Strange | NodeLife::Registered => {
            return None;
        }
    };
    Some(NodeHealth {
        hostname: view.name.as_ref()?.as_str().to_owned(),
        token: view.token.clone().unwrap_or_default(),
        app_version: view.version.clone().unwrap_or_default(),
        first_seen_active: since,
        last_seen_active: spaced(seen),
        extra_info: String::new(),
        command: "serve".to_owned(),
        backend: own.store.clone(),
        last_reported: rfc3339(seen),
    })
}

fn health_status(node: &NodeStatus, nodes: &[NodeView]) -> HealthStatus {
    let is_active = node.lease.is_some();
    let leader = nodes.iter().find(|view| view.leads);
    let active = leader.and_then(|view| node_health(view, node));
    let unseen = || NodeHealth {
        hostname: node
            .leader
            .as_ref()
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
        last_reported: rfc3339(now()),
        ..NodeHealth::default()
    };
    let alive = nodes.iter().filter_map(|view| node_health(view, node));
    HealthStatus {
        healthy: node.store_problem.is_none(),
        hostname: node.name.as_str().to_owned(),
        token: node.token.clone(),
        is_active_node: is_active,
        active_node: active.unwrap_or_else(unseen),
        error: node.store_problem.as_ref().map(|_| Nothing {}),
        available_nodes: Some(alive.collect()),
        raft_leader: String::new(),
        is_raft_leader: false,
        raft_leader_uri: String::new(),
        raft_advertise: String::new(),
        raft_healthy_members: None,
    }
}

/// The request's headers, by the names browsers and the predecessor write. Secrets are not echoed.
fn headers(context: &Context) -> Outcome {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &context.request.headers {
        let is_secret = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name);
        let text = if is_secret {
            "<redacted>".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        all.entry(canonical(name.as_str()))
            .or_default()
            .push(text.into_owned());
    }
    bare(&all)
}

fn canonical(name: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}

fn check_global_recoveries(context: &Context) -> Outcome {
    // Unreadable means off.
    let is_on = context.api.control.node().recoveries_enabled == Some(true);
    let word = if is_on { "enabled" } else { "disabled" };
    done(format!("Global recoveries are {word}"), word)
}

fn filters(context: &Context) -> Outcome {
    let clusters = context.clusters.all();
    let automatic = clusters
        .iter()
        .filter(|legacy| legacy.view.snapshot.control.automatic);
    let names: Vec<String> = automatic
        .map(|legacy| format!("alias={}", legacy.alias()))
        .collect();
    let filters = RecoveryFilters {
        primaries: names.clone(),
        intermediates: names,
        recovery_ignore_hostname_filters: Vec::new(),
    };
    done("Automated recovery configuration details", &filters)
}

/// Routes of all clusters, or of one.
pub(crate) async fn routes(context: &Context, hint: Option<&str>) -> Outcome {
    let cluster = hint
        .map(|hint| context.clusters.require_cluster(hint))
        .transpose()?;
    let name = cluster.map(|view| view.snapshot.cluster.name.clone());
    let routes = context.api.control.routes().await?;
    let is_wanted = |key: &str| match &name {
        None => true,
        Some(name) => {
            let rest = key.split('/').skip_while(|part| part != name);
            rest.count() > 0
        }
    };
    let pairs: Vec<KeyValue> = routes
        .into_iter()
        .filter(|route| is_wanted(&route.key))
        .map(|route| KeyValue {
            key: route.key,
            value: route.value,
        })
        .collect();
    done(format!("Submitted {} masters", pairs.len()), &pairs)
}
