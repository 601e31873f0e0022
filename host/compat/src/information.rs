//! What is known about servers and clusters.

use crate::Context;
use crate::analysis::analyses;
use crate::answer::{Failure, bare, bare_or_null, done};
use crate::cluster::LegacyCluster;
use crate::clusters::Found;
use crate::endpoint::{Endpoint, Outcome};
use crate::instance::{instance, instances, order};
use crate::service::routes;
use crate::shape::{ClusterInfo, Instance, Key, Maintenance, ReplicationAnalysis};
use crate::tree::{Form, tree};
use baton_control::ClusterView;

/// The paths of this group.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    [clusters_and_trees(), servers(), analyses_and_routes()]
        .into_iter()
        .flatten()
        .collect()
}

fn clusters_and_trees() -> Vec<Endpoint> {
    let topology_about = "the tree as text; tags are always `[]`";
    vec![
        Endpoint::read("clusters", "clusters, by name", |c, []| clusters(c)),
        Endpoint::read("clusters-info", "clusters, by name", |c, []| {
            clusters_info(c)
        }),
        Endpoint::read("cluster/:hint", "its servers", |c, [hint]| {
            of_cluster(c, hint, cluster)
        }),
        Endpoint::read("cluster/alias/:alias", "its servers", |c, [alias]| {
            of_alias(c, alias, cluster)
        }),
        Endpoint::read(
            "cluster/instance/:host/:port",
            "its servers",
            |c, [host, port]| of_server(c, host, port, cluster),
        ),
        Endpoint::read("cluster-info/:hint", "its names", |c, [hint]| {
            of_cluster(c, hint, cluster_info)
        }),
        Endpoint::read("cluster-info/alias/:alias", "its names", |c, [alias]| {
            of_alias(c, alias, cluster_info)
        }),
        Endpoint::read("master/:hint", PRIMARY, |c, [hint]| {
            of_cluster(c, hint, primary)
        }),
        Endpoint::read("masters", PRIMARY, |c, []| primaries(c)),
        Endpoint::read("topology/:hint", topology_about, |c, [hint]| {
            of_cluster(c, hint, |view| topology(view, Form::Plain))
        }),
        Endpoint::read("topology/:host/:port", topology_about, |c, [host, port]| {
            of_server(c, host, port, |view| topology(view, Form::Plain))
        }),
        Endpoint::read("topology-tags/:hint", topology_about, |c, [hint]| {
            of_cluster(c, hint, |view| topology(view, Form::Tags))
        }),
        Endpoint::read(
            "topology-tags/:host/:port",
            topology_about,
            |c, [host, port]| of_server(c, host, port, |view| topology(view, Form::Tags)),
        ),
        Endpoint::read("topology-tabulated/:hint", topology_about, |c, [hint]| {
            of_cluster(c, hint, |view| topology(view, Form::Tabulated))
        }),
        Endpoint::read(
            "topology-tabulated/:host/:port",
            topology_about,
            |c, [host, port]| of_server(c, host, port, |view| topology(view, Form::Tabulated)),
        ),
    ]
}

fn servers() -> Vec<Endpoint> {
    vec![
        Endpoint::read("instance/:host/:port", "one server", |c, [host, port]| {
            one(c, host, port)
        }),
        Endpoint::read(
            "instance-replicas/:host/:port",
            "its direct replicas",
            |c, [host, port]| replicas(c, host, port),
        ),
        Endpoint::read("all-instances", "all servers", |c, []| bare(&everything(c))),
        Endpoint::read("bulk-instances", "keys of all servers", |c, []| keys(c)),
        Endpoint::read("search", SEARCH, |c, []| {
            search(c, c.request.parameter("s"))
        }),
        Endpoint::read("search/:text", SEARCH, |c, [text]| search(c, text)),
        Endpoint::read("downtimed", "servers in downtime", |c, []| {
            filtered(c, None, Empty::List, |i| i.is_downtimed)
        }),
        Endpoint::read("downtimed/:hint", "servers in downtime", |c, [hint]| {
            filtered(c, Some(hint), Empty::List, |i| i.is_downtimed)
        }),
        Endpoint::read("problems", "servers with a problem", |c, []| {
            filtered(c, None, Empty::Null, is_problem)
        }),
        Endpoint::read("problems/:hint", "servers with a problem", |c, [hint]| {
            filtered(c, Some(hint), Empty::Null, is_problem)
        }),
        Endpoint::read("maintenance", "servers in maintenance", |c, []| {
            maintenance(c)
        }),
        Endpoint::read(
            "in-maintenance/:host/:port",
            "`true` or `false`",
            |c, [host, port]| in_maintenance(c, host, port),
        ),
    ]
}

fn analyses_and_routes() -> Vec<Endpoint> {
    vec![
        Endpoint::read("replication-analysis", ANALYSIS, |c, []| {
            analysis(c, &|_| true)
        }),
        Endpoint::read("replication-analysis/:cluster", ANALYSIS, |c, [name]| {
            analysis_of_cluster(c, name)
        }),
        Endpoint::read(
            "replication-analysis/instance/:host/:port",
            ANALYSIS,
            |c, [host, port]| analysis_of_server(c, host, port),
        ),
        Endpoint::read_later("submit-masters-to-kv-stores", ROUTES, |c, []| {
            Box::pin(routes(c, None))
        }),
        Endpoint::read_later("submit-masters-to-kv-stores/:hint", ROUTES, |c, [hint]| {
            Box::pin(routes(c, Some(hint)))
        }),
    ]
}

const PRIMARY: &str = "the primary, also while it is dead or read-only";
const SEARCH: &str = "servers by a part of their names, versions or numbers";
const ANALYSIS: &str = "one entry per server; [findings](findings.md) has the table of codes";
const ROUTES: &str = "shows the routes; Baton keeps them up to date by itself";

fn of_cluster(context: &Context, hint: &str, show: impl Fn(&ClusterView) -> Outcome) -> Outcome {
    show(&*context.clusters.require_cluster(hint)?)
}

fn of_alias(context: &Context, alias: &str, show: impl Fn(&ClusterView) -> Outcome) -> Outcome {
    show(&*context.clusters.require_alias(alias)?)
}

fn of_server(
    context: &Context,
    host: &str,
    port: &str,
    show: impl Fn(&ClusterView) -> Outcome,
) -> Outcome {
    show(&context.clusters.require_server(host, port)?.view)
}

fn cluster(view: &ClusterView) -> Outcome {
    bare(&instances(&LegacyCluster::of(view)))
}

fn cluster_info(view: &ClusterView) -> Outcome {
    bare(&LegacyCluster::of(view).info())
}

fn primary(view: &ClusterView) -> Outcome {
    let legacy = LegacyCluster::of(view);
    let server = legacy.primary().ok_or_else(|| {
        crate::answer::failed(format!("No masters found for cluster {}", legacy.alias()))
    })?;
    bare(&instance(&legacy, server))
}

fn topology(view: &ClusterView, form: Form) -> Outcome {
    let legacy = LegacyCluster::of(view);
    let text = tree(&legacy, &instances(&legacy), form);
    done(format!("Topology for cluster {}", legacy.name), &text)
}

fn clusters(context: &Context) -> Outcome {
    let names: Vec<String> = context
        .clusters
        .all()
        .into_iter()
        .map(|legacy| legacy.name)
        .collect();
    bare_or_null(&names)
}

fn clusters_info(context: &Context) -> Outcome {
    let all: Vec<ClusterInfo> = context
        .clusters
        .all()
        .iter()
        .map(LegacyCluster::info)
        .collect();
    bare(&all)
}

fn primaries(context: &Context) -> Outcome {
    let clusters = context.clusters.all();
    let all = clusters
        .iter()
        .filter_map(|legacy| Some(instance(legacy, legacy.primary()?)));
    bare_or_null(&all.collect::<Vec<Instance>>())
}

/// A server that was found, in the predecessor's shape.
pub(crate) fn shown(found: &Found) -> Result<Instance, Failure> {
    let legacy = LegacyCluster::of(&found.view);
    let server = legacy.server(&found.server);
    server
        .map(|server| instance(&legacy, server))
        .ok_or_else(|| crate::answer::failed(format!("Cannot read instance: {}", found.address)))
}

fn one(context: &Context, host: &str, port: &str) -> Outcome {
    bare(&shown(&context.clusters.require_server(host, port)?)?)
}

fn replicas(context: &Context, host: &str, port: &str) -> Outcome {
    let found = context.clusters.require_server(host, port)?;
    let legacy = LegacyCluster::of(&found.view);
    let edges = legacy.replicas(&found.server);
    let servers = edges.iter().filter_map(|edge| legacy.server(&edge.replica));
    let mut all: Vec<Instance> = servers.map(|server| instance(&legacy, server)).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    bare(&all)
}

fn everything(context: &Context) -> Vec<Instance> {
    let mut all: Vec<Instance> = context.clusters.all().iter().flat_map(instances).collect();
    all.sort_by(|a, b| order(a).cmp(&order(b)));
    all
}

fn keys(context: &Context) -> Outcome {
    let mut all: Vec<Key> = everything(context)
        .into_iter()
        .map(|instance| instance.key)
        .collect();
    all.sort();
    bare_or_null(&all)
}

fn search(context: &Context, text: &str) -> Outcome {
    let number = text.parse::<u32>().ok();
    let is_hit = |i: &Instance| {
        let host_port = crate::cluster::key_text(&i.key);
        let texts = [
            &host_port,
            &i.cluster_name,
            &i.version,
            &i.version_comment,
            &i.suggested_cluster_alias,
        ];
        let is_number = |n: u32| n == i.server_id || n == u32::from(i.key.port);
        texts.iter().any(|t| t.contains(text)) || number.is_some_and(is_number)
    };
    bare(
        &everything(context)
            .into_iter()
            .filter(is_hit)
            .collect::<Vec<_>>(),
    )
}

/// What an empty list looks like.
#[derive(Clone, Copy)]
enum Empty {
    List,
    Null,
}

fn filtered(
    context: &Context,
    hint: Option<&str>,
    empty: Empty,
    is_wanted: impl Fn(&Instance) -> bool,
) -> Outcome {
    let mut all = match hint {
        Some(hint) => instances(&LegacyCluster::of(
            &*context.clusters.require_cluster(hint)?,
        )),
        None => everything(context),
    };
    all.retain(is_wanted);
    match empty {
        Empty::List => bare(&all),
        Empty::Null => bare_or_null(&all),
    }
}

fn is_problem(instance: &Instance) -> bool {
    let is_odd = |state: i8| !(-1..=1).contains(&state);
    let is_sick = !instance.problems.is_empty()
        || is_odd(instance.receiver_state)
        || is_odd(instance.applier_state);
    is_sick && !instance.is_downtimed
}

fn maintenance(context: &Context) -> Outcome {
    let mut all = Vec::new();
    for legacy in &context.clusters.all() {
        for server in legacy.servers().filter(|server| server.maintenance) {
            all.push(Maintenance {
                maintenance_id: 0,
                key: crate::cluster::key(&server.address),
                begin_timestamp: String::new(),
                seconds_elapsed: 0,
                is_active: true,
                owner: String::new(),
                reason: String::new(),
            });
        }
    }
    bare(&all)
}

fn in_maintenance(context: &Context, host: &str, port: &str) -> Outcome {
    let found = context.clusters.require_server(host, port)?;
    let server = found.view.snapshot.servers.get(&found.server);
    if server.is_some_and(|server| server.maintenance) {
        done("true", &found.address.to_string())
    } else {
        done("false", "")
    }
}

fn analysis(context: &Context, is_wanted: &dyn Fn(&ReplicationAnalysis) -> bool) -> Outcome {
    let clusters = context.clusters.all();
    let all: Vec<_> = clusters
        .iter()
        .flat_map(analyses)
        .filter(is_wanted)
        .collect();
    analysis_answer(&all)
}

fn analysis_of_cluster(context: &Context, name: &str) -> Outcome {
    // An unknown cluster has no problems, says the predecessor.
    let view = context.clusters.find_cluster(name);
    analysis_answer(
        &view
            .map(|view| analyses(&LegacyCluster::of(&view)))
            .unwrap_or_default(),
    )
}

fn analysis_of_server(context: &Context, host: &str, port: &str) -> Outcome {
    let Some(found) = context.clusters.find_server(host, port) else {
        return analysis_answer(&[]);
    };
    let key = crate::cluster::key(&found.address);
    analysis(context, &|entry| entry.analyzed_instance_key == key)
}

fn analysis_answer(all: &[ReplicationAnalysis]) -> Outcome {
    done("Analysis", all)
}
