//! Recoveries and the audit log, as they were recorded.

use baton_core::ids::{ClusterId, RecoveryId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_core::time::WallTime;
use baton_ports::{AuditRecord, RecoveryRecord};
use std::time::Duration;

use crate::Context;
use crate::answer::{Failure, bare};
use crate::cluster::key;
use crate::clusters::address;
use crate::endpoint::{Endpoint, Outcome};
use crate::recovery::{RecoveryForm, recovery, step};
use crate::shape::{Audit, TopologyRecovery};
use baton_control::RequestError;
use baton_http_core::times::{now, spaced};

/// Rows of a page.
const PAGE: usize = 20;
/// Rows asked of the store at a time, and most rows looked through for one request.
const CHUNK: u32 = 200;
const ROWS_MAX: u32 = 20_000;
/// How long a recovery is "recently active" after its end.
const RECENT: Duration = Duration::from_mins(5);

/// The paths of this group.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    [recoveries(), recent_recoveries(), audits()]
        .into_iter()
        .flatten()
        .collect()
}

fn recoveries() -> Vec<Endpoint> {
    let about = "recoveries, newest first, 20 a page; `?unacknowledged=true`";
    vec![
        Endpoint::read_later("audit-recovery", about, |c, []| {
            Box::pin(page(c, Of::All, "0"))
        }),
        Endpoint::read_later("audit-recovery/:page", about, |c, [number]| {
            Box::pin(page(c, Of::All, number))
        }),
        Endpoint::read_later("audit-recovery/cluster/:hint", about, |c, [hint]| {
            Box::pin(page(c, Of::hint(c, hint), "0"))
        }),
        Endpoint::read_later(
            "audit-recovery/cluster/:hint/:page",
            about,
            |c, [hint, number]| Box::pin(page(c, Of::hint(c, hint), number)),
        ),
        Endpoint::read_later("audit-recovery/alias/:alias", about, |c, [hint]| {
            Box::pin(page(c, Of::hint(c, hint), "0"))
        }),
        Endpoint::read_later(
            "audit-recovery/alias/:alias/:page",
            about,
            |c, [hint, number]| Box::pin(page(c, Of::hint(c, hint), number)),
        ),
        Endpoint::read_later("audit-recovery/id/:id", "one recovery", |c, [id]| {
            Box::pin(one(c, move |row| row.number.to_string() == id))
        }),
        Endpoint::read_later("audit-recovery/uid/:uid", "one recovery", |c, [uid]| {
            Box::pin(one(c, move |row| row.id.as_str() == uid))
        }),
        Endpoint::read_later("audit-recovery-steps/:uid", "its journal", |c, [uid]| {
            Box::pin(steps(c, uid))
        }),
    ]
}

fn recent_recoveries() -> Vec<Endpoint> {
    let recent_about = "recoveries that ended in the last 5 minutes";
    vec![
        Endpoint::read_later(
            "active-cluster-recovery/:hint",
            "that runs now",
            |c, [hint]| Box::pin(active(c, hint)),
        ),
        Endpoint::read_later(
            "recently-active-cluster-recovery/:hint",
            recent_about,
            |c, [hint]| Box::pin(recent(c, Of::hint(c, hint), None)),
        ),
        Endpoint::read_later(
            "recently-active-instance-recovery/:host/:port",
            recent_about,
            |c, [host, port]| Box::pin(recent(c, Of::All, Some((host, port)))),
        ),
        Endpoint::read("blocked-recoveries", "always `[]`", |_, []| {
            bare::<[u8]>(&[])
        }),
        Endpoint::read(
            "blocked-recoveries/cluster/:hint",
            "always `[]`",
            |_, [_]| bare::<[u8]>(&[]),
        ),
    ]
}

fn audits() -> Vec<Endpoint> {
    let about = "the audit log, 20 lines a page; `AuditId` is a time";
    vec![
        Endpoint::read_later("audit", about, |c, []| Box::pin(audit(c, None, "0"))),
        Endpoint::read_later("audit/:page", about, |c, [number]| {
            Box::pin(audit(c, None, number))
        }),
        Endpoint::read_later("audit/instance/:host/:port", about, |c, [host, port]| {
            Box::pin(audit(c, Some((host, port)), "0"))
        }),
        Endpoint::read_later(
            "audit/instance/:host/:port/:page",
            about,
            |c, [host, port, number]| Box::pin(audit(c, Some((host, port)), number)),
        ),
    ]
}

/// Whose recoveries.
enum Of {
    All,
    Cluster(ClusterId),
    Unknown,
}

impl Of {
    fn hint(context: &Context, hint: &str) -> Self {
        let view = context.clusters.find_cluster(hint);
        view.map_or(Self::Unknown, |view| {
            Self::Cluster(view.snapshot.cluster.id.clone())
        })
    }
}

async fn page(context: &Context, of: Of, number: &str) -> Outcome {
    let skip = number
        .parse::<usize>()
        .unwrap_or_default()
        .saturating_mul(PAGE);
    let is_open_only = context.request.parameter("unacknowledged") == "true";
    let is_wanted = |row: &RecoveryRecord| !is_open_only || row.acknowledged.is_none();
    shown(context, select(context, &of, skip, PAGE, is_wanted).await?)
}

async fn one(context: &Context, is_it: impl Fn(&RecoveryRecord) -> bool) -> Outcome {
    shown(context, select(context, &Of::All, 0, 1, is_it).await?)
}

async fn active(context: &Context, hint: &str) -> Outcome {
    let is_running = |row: &RecoveryRecord| row.outcome == RecoveryOutcome::Running;
    shown(
        context,
        select(context, &Of::hint(context, hint), 0, PAGE, is_running).await?,
    )
}

async fn recent(context: &Context, of: Of, successor: Option<(&str, &str)>) -> Outcome {
    let since = now();
    let successor = successor
        .map(|(host, port)| address(host, port))
        .transpose()?;
    let is_recent = |row: &RecoveryRecord| {
        let is_young = |ended: WallTime| since.since(ended) <= RECENT;
        row.ended.is_some_and(is_young)
            && (successor.is_none() || row.successor_address == successor)
    };
    shown(context, select(context, &of, 0, PAGE, is_recent).await?)
}

fn shown(context: &Context, rows: Vec<RecoveryRecord>) -> Outcome {
    let document = |row| recovery(&context.clusters, row, RecoveryForm::Recorded);
    bare(
        &rows
            .into_iter()
            .map(document)
            .collect::<Vec<TopologyRecovery>>(),
    )
}

/// Rows that the predecessor would have, newest first. It knows no rejoins, and its scripts would
/// take one for a failover.
async fn select(
    context: &Context,
    of: &Of,
    skip: usize,
    most: usize,
    is_wanted: impl Fn(&RecoveryRecord) -> bool,
) -> Result<Vec<RecoveryRecord>, Failure> {
    let cluster = match of {
        Of::All => None,
        Of::Cluster(id) => Some(id),
        Of::Unknown => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    let mut passed = 0;
    for first in (0..ROWS_MAX).step_by(CHUNK as usize) {
        let rows = context
            .api
            .control
            .recoveries(cluster, first, CHUNK)
            .await?;
        let is_last = rows.len() < CHUNK as usize;
        let rows = rows.into_iter().filter(|row| {
            !matches!(row.kind, RecoveryKind::Rejoin | RecoveryKind::Reopen) && is_wanted(row)
        });
        for row in rows {
            if passed >= skip {
                found.push(row);
            }
            passed += 1;
            if found.len() == most {
                return Ok(found);
            }
        }
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// The identity behind the predecessor's number of a recovery.
pub(crate) async fn find_number(
    context: &Context,
    number: &str,
) -> Result<Option<RecoveryId>, Failure> {
    let is_it = |row: &RecoveryRecord| row.number.to_string() == number;
    let rows = select(context, &Of::All, 0, 1, is_it).await?;
    Ok(rows.into_iter().next().map(|row| row.id))
}

/// Recoveries about a server that are not acknowledged.
pub(crate) async fn open_ones(
    context: &Context,
    server: &baton_core::ids::ServerId,
) -> Result<Vec<RecoveryId>, Failure> {
    let is_it = |row: &RecoveryRecord| row.subject == *server && row.acknowledged.is_none();
    let rows = select(context, &Of::All, 0, usize::MAX, is_it).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn steps(context: &Context, uid: &str) -> Outcome {
    match context.api.control.recovery(&RecoveryId::new(uid)).await {
        Ok((_, steps)) => bare(&steps.into_iter().map(step).collect::<Vec<_>>()),
        Err(RequestError::NotFound { .. }) => bare::<[u8]>(&[]),
        Err(error) => Err(error.into()),
    }
}

async fn audit(context: &Context, of: Option<(&str, &str)>, number: &str) -> Outcome {
    let skip = number
        .parse::<usize>()
        .unwrap_or_default()
        .saturating_mul(PAGE);
    let Some((host, port)) = of else {
        let skip = u32::try_from(skip).unwrap_or(u32::MAX);
        let rows = context.api.control.audits(skip, PAGE as u32).await?;
        return bare(&rows.into_iter().map(line).collect::<Vec<_>>());
    };
    let asked = address(host, port)?;
    let address = context
        .clusters
        .find_server(host, port)
        .map_or(asked, |found| found.address);
    let mut found = Vec::new();
    for first in (0..ROWS_MAX).step_by(CHUNK as usize) {
        let rows = context.api.control.audits(first, CHUNK).await?;
        let is_last = rows.len() < CHUNK as usize;
        found.extend(
            rows.into_iter()
                .filter(|row| row.server.as_ref() == Some(&address)),
        );
        if is_last || found.len() >= skip.saturating_add(PAGE) {
            break;
        }
    }
    bare(
        &found
            .into_iter()
            .skip(skip)
            .take(PAGE)
            .map(line)
            .collect::<Vec<_>>(),
    )
}

fn line(record: AuditRecord) -> Audit {
    let AuditRecord {
        at,
        kind,
        server,
        cluster: _,
        by,
        text,
    } = record;
    Audit {
        audit_id: at.millis(),
        audit_timestamp: spaced(at),
        audit_type: kind,
        audit_instance_key: server.as_ref().map(key).unwrap_or_default(),
        message: format!("{text} (by {by})"),
    }
}
