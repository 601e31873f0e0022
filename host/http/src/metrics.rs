//! Metrics in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use baton_control::{ClusterView, NodeStatus};
use baton_core::model::Reach;

use crate::server::App;
use crate::vocabulary::Vocabulary as _;

const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = text(
        &app.control.node(),
        &app.control.clusters(),
        app.control.strays().len(),
    );
    ([(CONTENT_TYPE, FORMAT)], text).into_response()
}

fn text(node: &NodeStatus, views: &[Arc<ClusterView>], strays: usize) -> String {
    let mut page = Page::default();
    about_node(&mut page, node);
    page.gauge(
        "clusters",
        "Clusters watched.",
        [(vec![], count(views.len()))],
    );
    page.gauge(
        "stray_servers",
        "Known addresses that never answered.",
        [(vec![], count(strays))],
    );
    page.gauge(
        "servers",
        "Servers by how they answer probes.",
        reach(views),
    );
    page.gauge("findings", "Findings that hold now.", findings(views));
    page.gauge(
        "cluster_primary_known",
        "1 if the cluster's primary can be told.",
        primaries(views),
    );
    page.gauge(
        "cluster_automatic",
        "1 if recoveries begin without a person.",
        automatic(views),
    );
    page.gauge(
        "cluster_recovering",
        "1 while a recovery is under way.",
        recovering(views),
    );
    page.gauge(
        "replication_lag_max_seconds",
        "Largest lag that a replica of the cluster tells.",
        lags(views),
    );
    page.gauge(
        "recent_recoveries",
        "Recoveries kept in memory, at most 20 a cluster.",
        past(views),
    );
    for (name, value) in &node.counters {
        page.counter(name, *value);
    }
    page.text
}

fn about_node(page: &mut Page, node: &NodeStatus) {
    let build = vec![
        ("version", node.version.clone()),
        ("policy", node.policy.clone()),
    ];
    page.gauge(
        "build_info",
        "Program and policy; always 1.",
        [(build, 1.0)],
    );
    let started = node.started.millis() as f64 / 1000.0;
    page.gauge(
        "start_time_seconds",
        "Start of the process, seconds since the epoch.",
        [(vec![], started)],
    );
    page.gauge(
        "leader",
        "1 if this node holds the lease.",
        [(vec![], flag(node.lease.is_some()))],
    );
    let epoch = node.lease.map_or(0.0, |epoch| epoch.0 as f64);
    page.gauge(
        "lease_epoch",
        "Epoch of the lease held, 0 if none.",
        [(vec![], epoch)],
    );
    let healthy = flag(node.store_problem.is_none());
    page.gauge(
        "store_healthy",
        "1 if the state store is healthy.",
        [(vec![], healthy)],
    );
    page.gauge(
        "warm",
        "1 if every known server has been probed.",
        [(vec![], flag(node.warm))],
    );
    let enabled = flag(node.recoveries_enabled == Some(true));
    page.gauge(
        "recoveries_enabled",
        "1 if the global switch is read as on.",
        [(vec![], enabled)],
    );
}

type Labels = Vec<(&'static str, String)>;
type Samples = Vec<(Labels, f64)>;

fn of_cluster(view: &ClusterView) -> (&'static str, String) {
    ("cluster", view.snapshot.cluster.name.clone())
}

fn reach(views: &[Arc<ClusterView>]) -> Samples {
    let mut samples = Vec::new();
    for view in views {
        for &state in Reach::ALL {
            let servers = view.snapshot.servers.values();
            let number = servers
                .filter(|server| server.probe.reach() == state)
                .count();
            let labels = vec![of_cluster(view), ("state", state.word().to_owned())];
            samples.push((labels, count(number)));
        }
    }
    samples
}

fn findings(views: &[Arc<ClusterView>]) -> Samples {
    let mut samples = Vec::new();
    for view in views {
        let mut by_code = BTreeMap::new();
        for finding in &view.report.findings {
            *by_code
                .entry((finding.code, finding.severity))
                .or_insert(0_usize) += 1;
        }
        for ((code, how), number) in by_code {
            let words = [
                ("code", code.word().to_owned()),
                ("severity", how.word().to_owned()),
            ];
            let labels = std::iter::once(of_cluster(view)).chain(words).collect();
            samples.push((labels, count(number)));
        }
    }
    samples
}

fn primaries(views: &[Arc<ClusterView>]) -> Samples {
    per_cluster(views, |view| {
        Some(flag(view.report.primary.server().is_some()))
    })
}

fn automatic(views: &[Arc<ClusterView>]) -> Samples {
    per_cluster(views, |view| Some(flag(view.snapshot.control.automatic)))
}

fn recovering(views: &[Arc<ClusterView>]) -> Samples {
    per_cluster(views, |view| {
        Some(flag(view.snapshot.control.active.is_some()))
    })
}

fn lags(views: &[Arc<ClusterView>]) -> Samples {
    per_cluster(views, |view| {
        let edges = view.topology.sources.values().flatten();
        let lag = edges.filter_map(|edge| edge.channel.lag).max()?;
        Some(lag.as_secs_f64())
    })
}

fn past(views: &[Arc<ClusterView>]) -> Samples {
    let mut samples = Vec::new();
    for view in views {
        let mut by_kind = BTreeMap::new();
        for recovery in &view.snapshot.control.past {
            *by_kind
                .entry((recovery.kind, recovery.outcome))
                .or_insert(0_usize) += 1;
        }
        for ((kind, outcome), number) in by_kind {
            let words = [
                ("kind", kind.word().to_owned()),
                ("outcome", outcome.word().to_owned()),
            ];
            let labels = std::iter::once(of_cluster(view)).chain(words).collect();
            samples.push((labels, count(number)));
        }
    }
    samples
}

fn per_cluster(views: &[Arc<ClusterView>], value: impl Fn(&ClusterView) -> Option<f64>) -> Samples {
    let sample = |view: &Arc<ClusterView>| Some((vec![of_cluster(view)], value(view)?));
    views.iter().filter_map(sample).collect()
}

fn flag(is_on: bool) -> f64 {
    if is_on { 1.0 } else { 0.0 }
}

fn count(number: usize) -> f64 {
    number as f64
}

/// The page being written.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, f64)>) {
        self.head(name, help, "gauge");
        for (labels, value) in samples {
            self.sample(name, &labels, value);
        }
    }

    fn counter(&mut self, name: &str, value: f64) {
        let stem = name.trim_end_matches("_total").replace('_', " ");
        self.head(
            name,
            &format!("Total of {stem} since the process started."),
            "counter",
        );
        self.sample(name, &Vec::new(), value);
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.write(format_args!(
            "# HELP baton_{name} {help}\n# TYPE baton_{name} {kind}\n"
        ));
    }

    fn sample(&mut self, name: &str, labels: &Labels, value: f64) {
        let pairs: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = if pairs.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", pairs.join(","))
        };
        self.write(format_args!("baton_{name}{labels} {value}\n"));
    }

    fn write(&mut self, line: std::fmt::Arguments<'_>) {
        let written = self.text.write_fmt(line);
        debug_assert!(written.is_ok(), "writing to a text cannot fail");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
