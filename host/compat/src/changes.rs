//! Carries out changes. A path is read into a [`Change`] first (see `change_paths`), so that
//! permission is checked in one place.

use std::sync::Arc;
use std::time::Duration;

use baton_control::{ChangePrimary, ClusterView, Control, Sureness};
use baton_core::ids::{Address, RecoveryId, ServerId};
use baton_core::model::{Downtime, PromotionRule, RecoveryOutcome};
use baton_ports::RecoveryRecord;

use crate::Context;
use crate::answer::{Answer, Failure, done, failed, json};
use crate::cluster::{LegacyCluster, key};
use crate::clusters::Found;
use crate::information::shown;
use crate::instance::bare_instance;
use crate::records::{find_number, open_ones};
use crate::recovery::{RecoveryForm, recovery};
use baton_http_core::run_detached;
use baton_http_core::times::now;

/// How long a failover may take. The predecessor has no limit.
const FAILOVER_LIMIT: Duration = Duration::from_mins(1);
/// How long a promotion rule lasts unless it is renewed, as with the predecessor.
const PROMOTION: Duration = Duration::from_hours(1);

/// A request to change something.
pub(crate) enum Change {
    Discover(Address),
    AsyncDiscover(Address),
    Refresh(Found),
    Forget(Address),
    ForgetCluster(Arc<ClusterView>),
    BeginDowntime {
        server: Found,
        owner: String,
        reason: String,
        length: Duration,
    },
    EndDowntime(Found),
    RegisterCandidate(Found, PromotionRule),
    Recover(Found, Option<Found>),
    Failover(Arc<ClusterView>, Option<Found>),
    Switchover {
        cluster: Arc<ClusterView>,
        to: Option<Found>,
        choice: Choice,
    },
    Acknowledge(Acknowledged),
    EnableRecoveries,
    DisableRecoveries,
    Reelect,
    GrabElection,
}

/// Who chooses the successor if the caller names none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The only replica there is.
    OnlyReplica,
    /// The policy.
    Policy,
}

/// What is acknowledged.
pub(crate) enum Acknowledged {
    All,
    Cluster(Arc<ClusterView>),
    Server(Found),
    Number(String),
    Uid(String),
}

/// Does it, in the name of `by`.
pub(crate) async fn carry_out(
    context: &Context,
    change: Change,
    by: String,
) -> Result<Answer, Failure> {
    let control = Arc::clone(&context.api.control);
    match change {
        Change::Discover(address) => discover(context, address, by).await,
        Change::AsyncDiscover(address) => async_discover(&control, address, by),
        Change::Refresh(found) => {
            let server = found.server.clone();
            run_detached(async move { control.refresh(&server).await }).await?;
            done(
                format!("Instance refreshed: {}", found.address),
                &key(&found.address),
            )
        }
        Change::Forget(address) => forget(context, address, by).await,
        Change::ForgetCluster(view) => forget_cluster(control, &view, by).await,
        Change::BeginDowntime {
            server,
            owner,
            reason,
            length,
        } => {
            let begins = now();
            let downtime = Downtime {
                owner,
                reason,
                begins,
                ends: begins.plus(length),
            };
            set_downtime(control, server, Some(downtime), by).await
        }
        Change::EndDowntime(server) => set_downtime(control, server, None, by).await,
        Change::RegisterCandidate(found, rule) => {
            let (server, expires) = (found.server.clone(), Some(now().plus(PROMOTION)));
            run_detached(async move { control.set_promotion(&server, rule, expires, &by).await })
                .await?;
            done("Registered candidate", &key(&found.address))
        }
        Change::Recover(found, to) => recover(control, found, to, by).await,
        Change::Failover(view, to) => failover(context, &view, to, by).await,
        Change::Switchover {
            cluster,
            to,
            choice,
        } => switchover(context, &cluster, (to, choice), by).await,
        Change::Acknowledge(what) => acknowledge(context, what, by).await,
        Change::EnableRecoveries => {
            run_detached(async move { control.set_recoveries_enabled(true, &by).await }).await?;
            done("Globally enabled recoveries", "enabled")
        }
        Change::DisableRecoveries => {
            run_detached(async move { control.set_recoveries_enabled(false, &by).await }).await?;
            done("Globally disabled recoveries", "disabled")
        }
        Change::Reelect => {
            run_detached(async move { control.reelect(&by).await }).await?;
            done("Leadership given up", &())
        }
        Change::GrabElection => {
            run_detached(async move { control.grab_election(&by).await }).await?;
            done("This node leads", &())
        }
    }
}

async fn discover(context: &Context, address: Address, by: String) -> Result<Answer, Failure> {
    let control = Arc::clone(&context.api.control);
    let target = address.clone();
    let server = run_detached(async move { control.discover(&target, &by).await }).await?;
    let found = context
        .api
        .control
        .find_server(server.as_str())
        .map(|(view, server)| Found {
            view,
            server,
            address: address.clone(),
        });
    // Its cluster's picture may not be published yet; the key is what callers want.
    let instance = match found {
        Some(found) => shown(&found)?,
        None => bare_instance(&address),
    };
    done(format!("Instance discovered: {address}"), &instance)
}

fn async_discover(
    control: &Arc<dyn Control>,
    address: Address,
    by: String,
) -> Result<Answer, Failure> {
    let message = format!("Asynchronous discovery initiated for Instance: {address}");
    let control = Arc::clone(control);
    tokio::spawn(async move {
        if let Err(error) = control.discover(&address, &by).await {
            tracing::warn!(%address, error = &error as &dyn std::error::Error, "discovery failed");
        }
    });
    done(message, &())
}

async fn forget(context: &Context, address: Address, by: String) -> Result<Answer, Failure> {
    let control = Arc::clone(&context.api.control);
    // Exact names only: a guess must not make another server unknown. An address that never
    // answered has its own text as identity.
    let found = context
        .clusters
        .find_exact(&address)
        .map(|found| found.server);
    let server = found.unwrap_or_else(|| ServerId::new(address.to_string()));
    run_detached(async move { control.forget(&server, Sureness::Sure, &by).await }).await?;
    done(format!("Instance forgotten: {address}"), &key(&address))
}

async fn forget_cluster(
    control: Arc<dyn Control>,
    view: &ClusterView,
    by: String,
) -> Result<Answer, Failure> {
    let servers: Vec<ServerId> = view.snapshot.servers.keys().cloned().collect();
    let name = LegacyCluster::of(view).name;
    let work = async move {
        for server in servers {
            control.forget(&server, Sureness::Sure, &by).await?;
        }
        Ok(())
    };
    run_detached(work).await?;
    done(format!("Cluster forgotten: {name}"), &())
}

async fn set_downtime(
    control: Arc<dyn Control>,
    found: Found,
    downtime: Option<Downtime>,
    by: String,
) -> Result<Answer, Failure> {
    let message = if downtime.is_some() {
        "Instance downtimed"
    } else {
        "Instance no longer downtimed"
    };
    let server = found.server.clone();
    run_detached(async move { control.set_downtime(&server, downtime, &by).await }).await?;
    done(
        format!("{message}: {}", found.address),
        &key(&found.address),
    )
}

async fn recover(
    control: Arc<dyn Control>,
    found: Found,
    to: Option<Found>,
    by: String,
) -> Result<Answer, Failure> {
    let (server, to) = (found.server, to.map(|to| to.server));
    let row = run_detached(async move { control.recover(&server, to, None, &by).await }).await?;
    match (row.outcome, &row.successor_address) {
        (RecoveryOutcome::Succeeded, Some(successor)) => done("Recovery executed", &key(successor)),
        (RecoveryOutcome::Succeeded, None) => done("Recovery executed", &key(&row.subject_address)),
        _ => Err(failed(format!(
            "Recovery attempted, {}: {}",
            row.outcome.word(),
            row.errors.join("; ")
        ))),
    }
}

async fn failover(
    context: &Context,
    view: &ClusterView,
    to: Option<Found>,
    by: String,
) -> Result<Answer, Failure> {
    let control = Arc::clone(&context.api.control);
    let request = change_primary(view, to, by, Some(FAILOVER_LIMIT));
    let row = run_detached(async move { control.failover(request).await }).await?;
    ended(context, row, "Master failed over")
}

async fn switchover(
    context: &Context,
    view: &ClusterView,
    (to, choice): (Option<Found>, Choice),
    by: String,
) -> Result<Answer, Failure> {
    if to.is_none() && choice == Choice::OnlyReplica {
        require_only_replica(view)?;
    }
    let control = Arc::clone(&context.api.control);
    let request = change_primary(view, to, by, None);
    let row = run_detached(async move { control.switchover(request).await }).await?;
    ended(context, row, "graceful-master-takeover: successor promoted")
}

/// The predecessor chooses for a caller of `graceful-master-takeover` only where there is nothing
/// to choose.
fn require_only_replica(view: &ClusterView) -> Result<(), Failure> {
    let legacy = LegacyCluster::of(view);
    let primary = legacy
        .primary()
        .ok_or_else(|| failed(format!("No masters found for cluster {}", legacy.name)))?;
    match legacy.replicas(&primary.id).len() {
        1 => Ok(()),
        replicas => Err(failed(format!(
            "GracefulMasterTakeover: no target instance indicated, and {} has {replicas} direct replicas, not one; \
             name the target or use graceful-master-takeover-auto",
            primary.address,
        ))),
    }
}

fn change_primary(
    view: &ClusterView,
    to: Option<Found>,
    by: String,
    deadline: Option<Duration>,
) -> ChangePrimary {
    ChangePrimary {
        cluster: view.snapshot.cluster.id.clone(),
        to: to.map(|to| to.server),
        // orchestrator knows no such word: what would be lost has to be accepted over /api/v1.
        accept_loss: None,
        by,
        deadline,
    }
}

fn ended(context: &Context, row: RecoveryRecord, message: &str) -> Result<Answer, Failure> {
    let (outcome, errors) = (row.outcome, row.errors.join("; "));
    let shown = recovery(&context.clusters, row, RecoveryForm::Live);
    if outcome == RecoveryOutcome::Succeeded {
        return done(message, &shown);
    }
    let message = format!("Master takeover {}: {errors}", outcome.word());
    Err(Failure::Error {
        message,
        details: Some(json(&shown)?),
    })
}

async fn acknowledge(context: &Context, what: Acknowledged, by: String) -> Result<Answer, Failure> {
    let comment = context.request.comment()?;
    let (ids, cluster, details) = match what {
        Acknowledged::All => (None, None, json(&comment)?),
        Acknowledged::Cluster(view) => (
            None,
            Some(view.snapshot.cluster.id.clone()),
            json(&LegacyCluster::of(&view).name)?,
        ),
        Acknowledged::Server(found) => {
            let ids = open_ones(context, &found.server).await?;
            (Some(ids), None, json(&key(&found.address))?)
        }
        Acknowledged::Uid(uid) => (Some(vec![RecoveryId::new(&uid)]), None, json(&uid)?),
        Acknowledged::Number(number) => {
            let id = find_number(context, &number).await?;
            let id = id.ok_or_else(|| failed(format!("No recovery has the id {number}")))?;
            (Some(vec![id]), None, json(&number)?)
        }
    };
    let control = Arc::clone(&context.api.control);
    let count = run_detached(async move {
        let Some(ids) = ids else {
            return control
                .acknowledge(None, cluster.as_ref(), &by, &comment)
                .await;
        };
        let mut count = 0;
        for id in ids {
            count += control.acknowledge(Some(&id), None, &by, &comment).await?;
        }
        Ok(count)
    });
    let message = format!("Acknowledged {} recoveries", count.await?);
    Ok(Answer::Done { message, details })
}
