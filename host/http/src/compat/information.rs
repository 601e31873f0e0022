//! What is known about servers and clusters.

use super::Context;
use super::analysis::analyses;
use super::answer::{Answer, Failure, bare, bare_or_null, done};
use super::fleet::Found;
use super::instance::{instance, instances, order};
use super::lens::Lens;
use super::service::routes;
use super::shape::{ClusterInfo, Instance, Key, Maintenance, ReplicationAnalysis};
use super::tree::{Form, tree};
use baton_control::ClusterView;

/// Answers a path of this group.
pub(super) async fn answer(context: &Context, path: &[&str]) -> Option<Result<Answer, Failure>> {
    let answer = match path {
        ["cluster", "instance", host, port] => of_server(context, host, port, cluster),
        ["cluster", "alias", alias] => of_alias(context, alias, cluster),
        ["cluster", hint] => of_cluster(context, hint, cluster),
        ["cluster-info", "alias", alias] => of_alias(context, alias, cluster_info),
        ["cluster-info", hint] => of_cluster(context, hint, cluster_info),
        ["master", hint] => of_cluster(context, hint, primary),
        [
            form @ ("topology" | "topology-tags" | "topology-tabulated"),
            hint,
        ] => of_cluster(context, hint, |view| topology(view, form)),
        [
            form @ ("topology" | "topology-tags" | "topology-tabulated"),
            host,
            port,
        ] => of_server(context, host, port, |view| topology(view, form)),
        ["clusters"] => clusters(context),
        ["clusters-info"] => clusters_info(context),
        ["masters"] => primaries(context),
        ["instance", host, port] => one(context, host, port),
        ["instance-replicas", host, port] => replicas(context, host, port),
        ["all-instances"] => bare(&everything(context)),
        ["bulk-instances"] => keys(context),
        ["search"] => search(context, context.asked.parameter("s")),
        ["search", text] => search(context, text),
        ["downtimed"] => filtered(context, None, Empty::List, |i| i.is_downtimed),
        ["downtimed", hint] => filtered(context, Some(hint), Empty::List, |i| i.is_downtimed),
        ["problems"] => filtered(context, None, Empty::Null, is_problem),
        ["problems", hint] => filtered(context, Some(hint), Empty::Null, is_problem),
        ["maintenance"] => maintenance(context),
        ["in-maintenance", host, port] => in_maintenance(context, host, port),
        ["replication-analysis"] => analysis(context, &|_| true),
        ["replication-analysis", "instance", host, port] => analysis_of_server(context, host, port),
        ["replication-analysis", name] => analysis_of_cluster(context, name),
        ["submit-masters-to-kv-stores"] => routes(context, None).await,
        ["submit-masters-to-kv-stores", hint] => routes(context, Some(hint)).await,
        _ => return None,
    };
    Some(answer)
}

type Shown = Result<Answer, Failure>;

fn of_cluster(context: &Context, hint: &str, show: impl Fn(&ClusterView) -> Shown) -> Shown {
    show(&*context.fleet.require_cluster(hint)?)
}

fn of_alias(context: &Context, alias: &str, show: impl Fn(&ClusterView) -> Shown) -> Shown {
    show(&*context.fleet.require_alias(alias)?)
}

fn of_server(
    context: &Context,
    host: &str,
    port: &str,
    show: impl Fn(&ClusterView) -> Shown,
) -> Shown {
    show(&context.fleet.require_server(host, port)?.view)
}

fn cluster(view: &ClusterView) -> Shown {
    bare(&instances(&Lens::of(view)))
}

fn cluster_info(view: &ClusterView) -> Shown {
    bare(&Lens::of(view).info())
}

fn primary(view: &ClusterView) -> Shown {
    let lens = Lens::of(view);
    let server = lens.primary().ok_or_else(|| {
        super::answer::said(format!("No masters found for cluster {}", lens.alias()))
    })?;
    bare(&instance(&lens, server))
}

fn topology(view: &ClusterView, form: &str) -> Shown {
    let lens = Lens::of(view);
    let form = match form {
        "topology-tags" => Form::Tags,
        "topology-tabulated" => Form::Tabulated,
        _ => Form::Plain,
    };
    let text = tree(&lens, &instances(&lens), form);
    done(format!("Topology for cluster {}", lens.name), &text)
}

fn clusters(context: &Context) -> Shown {
    let names: Vec<String> = context
        .fleet
        .lenses()
        .into_iter()
        .map(|lens| lens.name)
        .collect();
    bare_or_null(&names)
}

fn clusters_info(context: &Context) -> Shown {
    let all: Vec<ClusterInfo> = context.fleet.lenses().iter().map(Lens::info).collect();
    bare(&all)
}

fn primaries(context: &Context) -> Shown {
    let lenses = context.fleet.lenses();
    let all = lenses
        .iter()
        .filter_map(|lens| Some(instance(lens, lens.primary()?)));
    bare_or_null(&all.collect::<Vec<Instance>>())
}

/// A server that was found, in the predecessor's shape.
pub(super) fn shown(found: &Found) -> Result<Instance, Failure> {
    let lens = Lens::of(&found.view);
    let server = lens.server(&found.server);
    server
        .map(|server| instance(&lens, server))
        .ok_or_else(|| super::answer::said(format!("Cannot read instance: {}", found.address)))
}

fn one(context: &Context, host: &str, port: &str) -> Shown {
    bare(&shown(&context.fleet.require_server(host, port)?)?)
}

fn replicas(context: &Context, host: &str, port: &str) -> Shown {
    let found = context.fleet.require_server(host, port)?;
    let lens = Lens::of(&found.view);
    let edges = lens.replicas(&found.server);
    let servers = edges.iter().filter_map(|edge| lens.server(&edge.replica));
    let mut all: Vec<Instance> = servers.map(|server| instance(&lens, server)).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    bare(&all)
}

fn everything(context: &Context) -> Vec<Instance> {
    let mut all: Vec<Instance> = context.fleet.lenses().iter().flat_map(instances).collect();
    all.sort_by(|a, b| order(a).cmp(&order(b)));
    all
}

fn keys(context: &Context) -> Shown {
    let mut all: Vec<Key> = everything(context)
        .into_iter()
        .map(|instance| instance.key)
        .collect();
    all.sort();
    bare_or_null(&all)
}

fn search(context: &Context, text: &str) -> Shown {
    let number = text.parse::<u32>().ok();
    let is_hit = |i: &Instance| {
        let host_port = super::lens::key_text(&i.key);
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
) -> Shown {
    let mut all = match hint {
        Some(hint) => instances(&Lens::of(&*context.fleet.require_cluster(hint)?)),
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

fn maintenance(context: &Context) -> Shown {
    let mut all = Vec::new();
    for lens in &context.fleet.lenses() {
        for server in lens.servers().filter(|server| server.maintenance) {
            all.push(Maintenance {
                maintenance_id: 0,
                key: super::lens::key(&server.address),
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

fn in_maintenance(context: &Context, host: &str, port: &str) -> Shown {
    let found = context.fleet.require_server(host, port)?;
    let server = found.view.snapshot.servers.get(&found.server);
    if server.is_some_and(|server| server.maintenance) {
        done("true", &found.address.to_string())
    } else {
        done("false", "")
    }
}

fn analysis(context: &Context, is_wanted: &dyn Fn(&ReplicationAnalysis) -> bool) -> Shown {
    let lenses = context.fleet.lenses();
    let all: Vec<_> = lenses.iter().flat_map(analyses).filter(is_wanted).collect();
    told(&all)
}

fn analysis_of_cluster(context: &Context, name: &str) -> Shown {
    // An unknown cluster has no problems, says the predecessor.
    let view = context.fleet.find_cluster(name);
    told(
        &view
            .map(|view| analyses(&Lens::of(&view)))
            .unwrap_or_default(),
    )
}

fn analysis_of_server(context: &Context, host: &str, port: &str) -> Shown {
    let Some(found) = context.fleet.find_server(host, port) else {
        return told(&[]);
    };
    let key = super::lens::key(&found.address);
    analysis(context, &|entry| entry.analyzed_instance_key == key)
}

fn told(all: &[ReplicationAnalysis]) -> Shown {
    done("Analysis", all)
}
