//! Changes. Each is carried out to its end, also if the client disconnects.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use baton_control::{ChangePrimary, Control, RequestError, Sureness};
use baton_core::ids::{RecoveryId, ServerId};
use baton_core::model::Downtime;
use baton_core::planning::AcceptedLoss;

use super::bodies::{
    AcknowledgeBody, ChangeBody, DiscoverBody, DowntimeBody, ForgetQuery, LossBody, MoveBody,
    NoBody, PromotionBody, RecoverBody, RenameBody, SwitchBody,
};
use super::documents;
use super::problem::Problem;
use super::request::{Body, Name, QueryParameters};
use super::schema::{
    ClusterDocument, CountDocument, MoveDocument, RecoveryDocument, ServerDocument, ServerRef,
    SwitchDocument,
};
use super::{By, require_cluster, require_server};
use crate::server::App;
use baton_http_core::run_detached;
use baton_http_core::times::now;

/// How long a failover may take unless the request says.
const FAILOVER: Duration = Duration::from_mins(1);

type Changed<T> = Result<Json<T>, Problem>;
type Served = State<Arc<App>>;
type Caller = Extension<By>;

/// `POST /clusters/{cluster}/failover`.
pub(super) async fn failover(
    State(app): Served,
    Extension(by): Caller,
    Name(name): Name,
    Body(body): Body<ChangeBody>,
) -> Changed<RecoveryDocument> {
    let request = change_primary(&app, &name, &body, by, Some(FAILOVER))?;
    let control = Arc::clone(&app.control);
    let row = run_detached(async move { control.failover(request).await }).await?;
    with_steps(&app, row).await
}

/// `POST /clusters/{cluster}/switchover`.
pub(super) async fn switchover(
    State(app): Served,
    Extension(by): Caller,
    Name(name): Name,
    Body(body): Body<ChangeBody>,
) -> Changed<RecoveryDocument> {
    let request = change_primary(&app, &name, &body, by, None)?;
    let control = Arc::clone(&app.control);
    let row = run_detached(async move { control.switchover(request).await }).await?;
    with_steps(&app, row).await
}

/// `POST /backend/move`.
pub(super) async fn move_backend(
    State(app): Served,
    Extension(By(by)): Caller,
    Body(body): Body<MoveBody>,
) -> Changed<MoveDocument> {
    let request = body.request(by)?;
    let backends = Arc::clone(&app.backends);
    let moved = run_detached(async move { backends.move_to(request).await }).await?;
    Ok(Json(documents::backend_move(moved)))
}

/// `POST /servers/{server}/recover`.
pub(super) async fn recover(
    State(app): Served,
    Extension(By(by)): Caller,
    Name(name): Name,
    Body(body): Body<RecoverBody>,
) -> Changed<RecoveryDocument> {
    let (_, server) = require_server(&app, &name)?;
    let to = successor(&app, body.to.as_deref())?;
    let loss = accepted(body.accept_loss.as_ref(), to.as_ref())?;
    let control = Arc::clone(&app.control);
    let row = run_detached(async move { control.recover(&server, to, loss, &by).await }).await?;
    with_steps(&app, row).await
}

/// `POST /servers/{server}/rejoin`.
pub(super) async fn rejoin(
    State(app): Served,
    Extension(By(by)): Caller,
    Name(name): Name,
    Body(NoBody {}): Body<NoBody>,
) -> Changed<RecoveryDocument> {
    let (_, server) = require_server(&app, &name)?;
    let control = Arc::clone(&app.control);
    let row = run_detached(async move { control.rejoin(&server, &by).await }).await?;
    with_steps(&app, row).await
}

/// `POST /clusters/{cluster}/rename`.
pub(super) async fn rename(
    State(app): Served,
    Extension(By(by)): Caller,
    Name(name): Name,
    Body(body): Body<RenameBody>,
) -> Changed<ClusterDocument> {
    let cluster = require_cluster(&app, &name)?.snapshot.cluster.id.clone();
    let wanted = body.name()?.to_owned();
    let (control, id) = (Arc::clone(&app.control), cluster.clone());
    run_detached(async move { control.rename(&id, &wanted, &by).await }).await?;
    Ok(Json(documents::cluster(&*require_cluster(
        &app,
        cluster.as_str(),
    )?)))
}

/// `POST /discover`.
pub(super) async fn discover(
    State(app): Served,
    Extension(By(by)): Caller,
    Body(body): Body<DiscoverBody>,
) -> Changed<ServerRef> {
    let address = body.address()?;
    let (control, target) = (Arc::clone(&app.control), address.clone());
    let server = run_detached(async move { control.discover(&target, &by).await }).await?;
    Ok(Json(ServerRef {
        id: server.as_str().to_owned(),
        address: Some(address.to_string()),
    }))
}

/// `DELETE /servers/{server}`.
pub(super) async fn forget(
    State(app): Served,
    Extension(By(by)): Caller,
    Name(name): Name,
    QueryParameters(query): QueryParameters<ForgetQuery>,
) -> Result<StatusCode, Problem> {
    // An address that never answered belongs to no cluster; its own text is its identity.
    let server = require_server(&app, &name)
        .map(|(_, id)| id)
        .or_else(|problem| {
            let is_stray = app
                .control
                .strays()
                .iter()
                .any(|(address, _)| address.to_string() == name);
            if is_stray {
                Ok(ServerId::new(name))
            } else {
                Err(problem)
            }
        })?;
    let sureness = if query.force {
        Sureness::Sure
    } else {
        Sureness::Unasked
    };
    let control = Arc::clone(&app.control);
    run_detached(async move { control.forget(&server, sureness, &by).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /servers/{server}/refresh`.
pub(super) async fn refresh(
    State(app): Served,
    Name(name): Name,
    Body(NoBody {}): Body<NoBody>,
) -> Changed<ServerDocument> {
    changed_server(&app, &name, |control, server| async move {
        control.refresh(&server).await
    })
    .await
}

/// `POST /clusters/{cluster}/refresh`.
pub(super) async fn refresh_cluster(
    State(app): Served,
    Name(name): Name,
    Body(NoBody {}): Body<NoBody>,
) -> Changed<ClusterDocument> {
    let view = require_cluster(&app, &name)?;
    let servers = view.snapshot.servers.keys();
    let readings = servers.map(|server| app.control.refresh(server));
    // What a server does not answer is in the document.
    futures::future::join_all(readings).await;
    let view = require_cluster(&app, view.snapshot.cluster.id.as_str())?;
    Ok(Json(documents::cluster(&view)))
}

/// `POST /servers/{server}/downtime`.
pub(super) async fn begin_downtime(
    State(app): Served,
    Extension(By(by)): Caller,
    Name(name): Name,
    Body(body): Body<DowntimeBody>,
) -> Changed<ServerDocument> {
    let begins = now();
    let downtime = Downtime {
        owner: body.owner()?.unwrap_or(&by).to_owned(),
        reason: body.reason()?.to_owned(),
        begins,
        ends: begins.plus(body.length()?),
    };
    let change = |control: Arc<dyn Control>, server: ServerId| async move {
        control.set_downtime(&server, Some(downtime), &by).await
    };
    changed_server(&app, &name, change).await
}

/// `DELETE /servers/{server}/downtime`.
pub(super) async fn end_downtime(
    State(app): Served,
    Extension(By(by)): Caller,
    Name(name): Name,
) -> Changed<ServerDocument> {
    let change = |control: Arc<dyn Control>, server: ServerId| async move {
        control.set_downtime(&server, None, &by).await
    };
    changed_server(&app, &name, change).await
}

/// `POST /servers/{server}/promotion`.
pub(super) async fn promotion(
    State(app): Served,
    Extension(By(by)): Caller,
    Name(name): Name,
    Body(body): Body<PromotionBody>,
) -> Changed<ServerDocument> {
    let rule = body.rule()?;
    let expires = body.expires_in()?.map(|length| now().plus(length));
    let change = move |control: Arc<dyn Control>, server: ServerId| async move {
        control.set_promotion(&server, rule, expires, &by).await
    };
    changed_server(&app, &name, change).await
}

/// `POST /recoveries/{recovery}/acknowledge`.
pub(super) async fn acknowledge(
    State(app): Served,
    Extension(By(by)): Caller,
    Name(id): Name,
    Body(body): Body<AcknowledgeBody>,
) -> Changed<CountDocument> {
    let comment = body.comment()?.to_owned();
    let id = RecoveryId::new(id);
    // So that an unknown one is 404 and not "none acknowledged".
    app.control.recovery(&id).await?;
    let control = Arc::clone(&app.control);
    let count =
        run_detached(async move { control.acknowledge(Some(&id), None, &by, &comment).await });
    Ok(Json(CountDocument {
        count: count.await?,
    }))
}

/// `POST /clusters/{cluster}/acknowledge`.
pub(super) async fn acknowledge_cluster(
    State(app): Served,
    Extension(By(by)): Caller,
    Name(name): Name,
    Body(body): Body<AcknowledgeBody>,
) -> Changed<CountDocument> {
    let comment = body.comment()?.to_owned();
    let cluster = require_cluster(&app, &name)?.snapshot.cluster.id.clone();
    let control = Arc::clone(&app.control);
    let count = run_detached(async move {
        control
            .acknowledge(None, Some(&cluster), &by, &comment)
            .await
    });
    Ok(Json(CountDocument {
        count: count.await?,
    }))
}

/// `POST /recoveries/acknowledge`.
pub(super) async fn acknowledge_all(
    State(app): Served,
    Extension(By(by)): Caller,
    Body(body): Body<AcknowledgeBody>,
) -> Changed<CountDocument> {
    let comment = body.comment()?.to_owned();
    let control = Arc::clone(&app.control);
    let count = run_detached(async move { control.acknowledge(None, None, &by, &comment).await });
    Ok(Json(CountDocument {
        count: count.await?,
    }))
}

/// `POST /recoveries-enabled`.
pub(super) async fn set_recoveries_enabled(
    State(app): Served,
    Extension(By(by)): Caller,
    Body(body): Body<SwitchBody>,
) -> Changed<SwitchDocument> {
    let SwitchBody { enabled } = body;
    let control = Arc::clone(&app.control);
    run_detached(async move { control.set_recoveries_enabled(enabled, &by).await }).await?;
    Ok(Json(SwitchDocument {
        enabled: Some(enabled),
    }))
}

fn change_primary(
    app: &App,
    name: &str,
    body: &ChangeBody,
    By(by): By,
    deadline: Option<Duration>,
) -> Result<ChangePrimary, Problem> {
    let deadline = body.deadline(deadline)?;
    let cluster = require_cluster(app, name)?.snapshot.cluster.id.clone();
    let to = successor(app, body.to.as_deref())?;
    let accept_loss = accepted(body.accept_loss.as_ref(), to.as_ref())?;
    Ok(ChangePrimary {
        cluster,
        to,
        accept_loss,
        by,
        deadline,
    })
}

/// Whom the request wants promoted. A server that is not known makes the request wrong; its path is
/// right.
pub(super) fn successor(app: &App, to: Option<&str>) -> Result<Option<ServerId>, Problem> {
    let find = |hint: &str| {
        let found = app.control.find_server(hint).map(|(_, id)| id);
        found.ok_or_else(|| Problem::invalid(format!("to is {hint:?}, which is no known server")))
    };
    to.map(find).transpose()
}

/// What may be lost: of a server that is named.
pub(super) fn accepted(
    loss: Option<&LossBody>,
    to: Option<&ServerId>,
) -> Result<Option<AcceptedLoss>, Problem> {
    match (loss, to) {
        (None, _) => Ok(None),
        (Some(loss), Some(_)) => loss.accepted().map(Some),
        (Some(_), None) => Err(Problem::invalid(
            "accept_loss is worth something for a named server only: give to as well",
        )),
    }
}

async fn with_steps(app: &App, row: baton_ports::RecoveryRecord) -> Changed<RecoveryDocument> {
    // The change is done; a journal that cannot be read now must not make it look failed.
    let (row, steps) = match app.control.recovery(&row.id).await {
        Ok((row, steps)) => (row, Some(steps)),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the journal of a recovery cannot be read"
            );
            (row, None)
        }
    };
    Ok(Json(documents::recovery(row, steps)))
}

async fn changed_server<C, F>(app: &App, name: &str, change: C) -> Changed<ServerDocument>
where
    C: FnOnce(Arc<dyn Control>, ServerId) -> F,
    F: Future<Output = Result<(), RequestError>> + Send + 'static,
{
    let (_, id) = require_server(app, name)?;
    run_detached(change(Arc::clone(&app.control), id.clone())).await?;
    let (view, id) = require_server(app, id.as_str())?;
    let server = view
        .snapshot
        .servers
        .get(&id)
        .ok_or_else(|| Problem::unknown("server", name))?;
    Ok(Json(documents::server(&view, server)))
}
