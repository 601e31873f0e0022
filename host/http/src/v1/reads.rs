//! Reads, answered from the picture in memory and from the store.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use baton_control::{ClusterView, OrderKind};
use baton_core::ids::{ClusterId, RecoveryId};

use super::bodies::{ClusterPaging, ForecastBody, OrderWord, Paging, Window};
use super::changes::{accepted, successor};
use super::documents::{self, Names};
use super::problem::Problem;
use super::request::{Body, Name, QueryParameters};
use super::schema::{
    AuditDocument, BackendDocument, ClusterDocument, ClusterSummary, DowntimedDocument,
    ExplanationDocument, FindingDocument, ForecastDocument, NodeDocument, Page, PolicyDocument,
    RecoveryDocument, RouteDocument, ServerDocument, StepDocument, StrayDocument, SwitchDocument,
};
use super::{require_cluster, require_server};
use crate::server::App;

type Shown<T> = Result<Json<T>, Problem>;
type Served = State<Arc<App>>;

/// `GET /node`.
pub(super) async fn node(State(app): Served) -> Json<NodeDocument> {
    Json(documents::node(app.control.node()))
}

/// `GET /backend`.
pub(super) async fn backend(State(app): Served) -> Json<BackendDocument> {
    Json(documents::backend(app.backends.status()))
}

/// `GET /policies`.
pub(super) async fn policies(State(app): Served) -> Json<Vec<PolicyDocument>> {
    Json(vec![PolicyDocument {
        purpose: "failover",
        policy: app.control.node().policy,
    }])
}

/// `GET /recoveries-enabled`.
pub(super) async fn recoveries_enabled(State(app): Served) -> Json<SwitchDocument> {
    Json(SwitchDocument {
        enabled: app.control.node().recoveries_enabled,
    })
}

/// `GET /clusters`.
pub(super) async fn clusters(
    State(app): Served,
    QueryParameters(paging): QueryParameters<Paging>,
) -> Shown<Page<ClusterSummary>> {
    let views = app.control.clusters();
    Ok(page(paging.window()?, views, |view| {
        documents::summary(&view)
    }))
}

/// `GET /clusters/{cluster}`.
pub(super) async fn cluster(State(app): Served, Name(name): Name) -> Shown<ClusterDocument> {
    Ok(Json(documents::cluster(&*require_cluster(&app, &name)?)))
}

/// `GET /clusters/{cluster}/findings`.
pub(super) async fn cluster_findings(
    State(app): Served,
    Name(name): Name,
) -> Shown<Vec<FindingDocument>> {
    Ok(Json(findings_of(&*require_cluster(&app, &name)?)))
}

/// `GET /clusters/{cluster}/explanation`.
pub(super) async fn explanation(
    State(app): Served,
    Name(name): Name,
) -> Shown<ExplanationDocument> {
    let view = require_cluster(&app, &name)?;
    let explanation = app.control.explain(&view.snapshot.cluster.id).await?;
    Ok(Json(documents::explanation(&view, explanation)))
}

/// `POST /clusters/{cluster}/forecast`.
pub(super) async fn forecast(
    State(app): Served,
    Name(name): Name,
    Body(body): Body<ForecastBody>,
) -> Shown<ForecastDocument> {
    let view = require_cluster(&app, &name)?;
    let to = successor(&app, body.to.as_deref())?;
    let accept_loss = accepted(body.accept_loss.as_ref(), to.as_ref())?;
    let server = || match &body.server {
        Some(hint) => require_server(&app, hint).map(|(_, id)| id),
        None => Err(Problem::invalid(
            "server is missing: say which server the order is about",
        )),
    };
    let order = match body.order {
        OrderWord::Failover => OrderKind::Failover { to, accept_loss },
        OrderWord::Switchover => OrderKind::Switchover { to },
        OrderWord::Rejoin => OrderKind::Rejoin { server: server()? },
        OrderWord::Recover => OrderKind::Recover {
            server: server()?,
            to,
            accept_loss,
        },
    };
    let cluster = &view.snapshot.cluster.id;
    let forecast = app.control.forecast(cluster, order).await?;
    Ok(Json(documents::forecast(&view, forecast)))
}

/// `GET /clusters/{cluster}/recoveries`.
pub(super) async fn cluster_recoveries(
    State(app): Served,
    Name(name): Name,
    QueryParameters(paging): QueryParameters<Paging>,
) -> Shown<Page<RecoveryDocument>> {
    let view = require_cluster(&app, &name)?;
    recoveries_of(&app, Some(&view.snapshot.cluster.id), paging.window()?).await
}

/// `GET /servers`.
pub(super) async fn servers(
    State(app): Served,
    QueryParameters(paging): QueryParameters<ClusterPaging>,
) -> Shown<Page<ServerDocument>> {
    let views = views(&app, &paging)?;
    let all = views.iter().flat_map(|view| {
        view.snapshot
            .servers
            .values()
            .map(move |server| (view, server))
    });
    let window = paging.window()?;
    Ok(page(window, all.collect(), |(view, server)| {
        documents::server(view, server)
    }))
}

/// `GET /servers/{server}`.
pub(super) async fn server(State(app): Served, Name(name): Name) -> Shown<ServerDocument> {
    let (view, id) = require_server(&app, &name)?;
    let server = view
        .snapshot
        .servers
        .get(&id)
        .ok_or_else(|| Problem::unknown("server", &name))?;
    Ok(Json(documents::server(&view, server)))
}

/// `GET /strays`.
pub(super) async fn strays(State(app): Served) -> Json<Vec<StrayDocument>> {
    Json(
        app.control
            .strays()
            .into_iter()
            .map(documents::stray)
            .collect(),
    )
}

/// `GET /findings`.
pub(super) async fn findings(
    State(app): Served,
    QueryParameters(paging): QueryParameters<ClusterPaging>,
) -> Shown<Page<FindingDocument>> {
    let all = views(&app, &paging)?
        .iter()
        .flat_map(|view| findings_of(view))
        .collect();
    Ok(page(paging.window()?, all, |finding| finding))
}

/// `GET /downtimes`.
pub(super) async fn downtimes(
    State(app): Served,
    QueryParameters(paging): QueryParameters<ClusterPaging>,
) -> Shown<Page<DowntimedDocument>> {
    let views = views(&app, &paging)?;
    let all = views.iter().flat_map(|view| downtimes_of(view)).collect();
    Ok(page(paging.window()?, all, |downtime| downtime))
}

/// `GET /recoveries`.
pub(super) async fn recoveries(
    State(app): Served,
    QueryParameters(paging): QueryParameters<ClusterPaging>,
) -> Shown<Page<RecoveryDocument>> {
    let cluster = paging
        .cluster
        .as_deref()
        .map(|hint| require_cluster(&app, hint))
        .transpose()?;
    recoveries_of(
        &app,
        cluster.as_deref().map(|view| &view.snapshot.cluster.id),
        paging.window()?,
    )
    .await
}

/// `GET /recoveries/{recovery}`.
pub(super) async fn recovery(State(app): Served, Name(id): Name) -> Shown<RecoveryDocument> {
    let (row, steps) = app.control.recovery(&RecoveryId::new(id)).await?;
    Ok(Json(documents::recovery(row, Some(steps))))
}

/// `GET /recoveries/{recovery}/steps`.
pub(super) async fn steps(State(app): Served, Name(id): Name) -> Shown<Vec<StepDocument>> {
    let (_, steps) = app.control.recovery(&RecoveryId::new(id)).await?;
    Ok(Json(steps.into_iter().map(documents::step).collect()))
}

/// `GET /routes`.
pub(super) async fn routes(State(app): Served) -> Shown<Vec<RouteDocument>> {
    Ok(Json(
        app.control
            .routes()
            .await?
            .into_iter()
            .map(documents::route)
            .collect(),
    ))
}

/// `GET /audit`.
pub(super) async fn audit(
    State(app): Served,
    QueryParameters(paging): QueryParameters<Paging>,
) -> Shown<Page<AuditDocument>> {
    let Window { skip, limit } = paging.window()?;
    let rows = app.control.audits(skip, limit).await?;
    let next_skip = next(skip, limit, rows.len());
    Ok(Json(Page {
        items: rows.into_iter().map(documents::audit).collect(),
        next_skip,
    }))
}

fn views(app: &App, paging: &ClusterPaging) -> Result<Vec<Arc<ClusterView>>, Problem> {
    match &paging.cluster {
        Some(hint) => Ok(vec![require_cluster(app, hint)?]),
        None => Ok(app.control.clusters()),
    }
}

fn findings_of(view: &ClusterView) -> Vec<FindingDocument> {
    let findings = view.report.findings.iter().cloned();
    findings
        .map(|finding| documents::finding(view, finding))
        .collect()
}

fn downtimes_of(view: &ClusterView) -> Vec<DowntimedDocument> {
    let names = Names::of(view);
    let downtimed = |server: &baton_core::model::Server| {
        let downtime = server
            .downtime
            .clone()
            .filter(|downtime| downtime.ends > view.snapshot.wall)?;
        Some(DowntimedDocument {
            server: names.server(&server.id),
            cluster: view.snapshot.cluster.id.as_str().to_owned(),
            cluster_name: view.snapshot.cluster.name.clone(),
            downtime: documents::downtime_document(downtime),
        })
    };
    view.snapshot
        .servers
        .values()
        .filter_map(downtimed)
        .collect()
}

async fn recoveries_of(
    app: &App,
    cluster: Option<&ClusterId>,
    Window { skip, limit }: Window,
) -> Shown<Page<RecoveryDocument>> {
    let rows = app.control.recoveries(cluster, skip, limit).await?;
    let next_skip = next(skip, limit, rows.len());
    let items = rows
        .into_iter()
        .map(|row| documents::recovery(row, None))
        .collect();
    Ok(Json(Page { items, next_skip }))
}

/// The wanted part of a list.
fn page<T, D>(window: Window, all: Vec<T>, show: impl FnMut(T) -> D) -> Json<Page<D>> {
    let Window { skip, limit } = window;
    let left = all.len().saturating_sub(skip as usize);
    let items: Vec<D> = all
        .into_iter()
        .skip(skip as usize)
        .take(limit as usize)
        .map(show)
        .collect();
    let next_skip = if left > items.len() {
        Some(skip.saturating_add(limit))
    } else {
        None
    };
    Json(Page { items, next_skip })
}

/// The store cannot tell whether more follows; a full part means perhaps.
fn next(skip: u32, limit: u32, got: usize) -> Option<u32> {
    (got >= limit as usize).then(|| skip.saturating_add(limit))
}
