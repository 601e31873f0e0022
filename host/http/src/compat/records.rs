//! Recoveries and the audit log, as they were recorded.

use baton_core::ids::{ClusterId, RecoveryId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_core::time::WallTime;
use baton_ports::{AuditRecord, RecoveryRow};
use std::time::Duration;

use super::Context;
use super::answer::{Answer, Failure, bare};
use super::fleet::address;
use super::lens::key;
use super::recovery::{Told, recovery, step};
use super::shape::{Audit, TopologyRecovery};
use crate::times::{now, spaced};
use baton_control::RequestError;

/// Rows of a page.
const PAGE: usize = 20;
/// Rows asked of the store at a time, and most rows looked through for one request.
const CHUNK: u32 = 200;
const ROWS_MAX: u32 = 20_000;
/// How long a recovery is "recently active" after its end.
const RECENT: Duration = Duration::from_mins(5);

/// Answers a path of this group.
pub(super) async fn answer(context: &Context, path: &[&str]) -> Option<Result<Answer, Failure>> {
    let answer = match path {
        ["audit-recovery"] => page(context, &Of::All, "0").await,
        ["audit-recovery", "id", id] => one(context, |row| row.number.to_string() == **id).await,
        ["audit-recovery", "uid", uid] => one(context, |row| row.id.as_str() == *uid).await,
        ["audit-recovery", "cluster" | "alias", hint] => {
            page(context, &Of::hint(context, hint), "0").await
        }
        ["audit-recovery", "cluster" | "alias", hint, number] => {
            page(context, &Of::hint(context, hint), number).await
        }
        ["audit-recovery", number] => page(context, &Of::All, number).await,
        ["audit-recovery-steps", uid] => steps(context, uid).await,
        ["active-cluster-recovery", hint] => active(context, hint).await,
        ["recently-active-cluster-recovery", hint] => {
            recent(context, &Of::hint(context, hint), None).await
        }
        ["recently-active-instance-recovery", host, port] => {
            recent(context, &Of::All, Some((host, port))).await
        }
        ["blocked-recoveries"] | ["blocked-recoveries", "cluster", _] => bare::<[u8]>(&[]),
        ["audit"] => audit(context, None, "0").await,
        ["audit", "instance", host, port] => audit(context, Some((host, port)), "0").await,
        ["audit", "instance", host, port, number] => {
            audit(context, Some((host, port)), number).await
        }
        ["audit", number] => audit(context, None, number).await,
        _ => return None,
    };
    Some(answer)
}

/// Whose recoveries.
enum Of {
    All,
    Cluster(ClusterId),
    Unknown,
}

impl Of {
    fn hint(context: &Context, hint: &str) -> Self {
        let view = context.fleet.find_cluster(hint);
        view.map_or(Self::Unknown, |view| {
            Self::Cluster(view.snapshot.cluster.id.clone())
        })
    }
}

async fn page(context: &Context, of: &Of, number: &str) -> Result<Answer, Failure> {
    let skip = number
        .parse::<usize>()
        .unwrap_or_default()
        .saturating_mul(PAGE);
    let is_open_only = context.asked.parameter("unacknowledged") == "true";
    let is_wanted = |row: &RecoveryRow| !is_open_only || row.acknowledged.is_none();
    shown(context, select(context, of, skip, PAGE, is_wanted).await?)
}

async fn one(context: &Context, is_it: impl Fn(&RecoveryRow) -> bool) -> Result<Answer, Failure> {
    shown(context, select(context, &Of::All, 0, 1, is_it).await?)
}

async fn active(context: &Context, hint: &str) -> Result<Answer, Failure> {
    let is_running = |row: &RecoveryRow| row.outcome == RecoveryOutcome::Running;
    shown(
        context,
        select(context, &Of::hint(context, hint), 0, PAGE, is_running).await?,
    )
}

async fn recent(
    context: &Context,
    of: &Of,
    successor: Option<(&str, &str)>,
) -> Result<Answer, Failure> {
    let since = now();
    let successor = successor
        .map(|(host, port)| address(host, port))
        .transpose()?;
    let is_recent = |row: &RecoveryRow| {
        let is_young = |ended: WallTime| since.since(ended) <= RECENT;
        row.ended.is_some_and(is_young)
            && (successor.is_none() || row.successor_address == successor)
    };
    shown(context, select(context, of, 0, PAGE, is_recent).await?)
}

fn shown(context: &Context, rows: Vec<RecoveryRow>) -> Result<Answer, Failure> {
    let told = |row| recovery(&context.fleet, row, Told::Recorded);
    bare(
        &rows
            .into_iter()
            .map(told)
            .collect::<Vec<TopologyRecovery>>(),
    )
}

/// Rows that the predecessor would have, newest first. It knows no rejoins, and its scripts would take one for a
/// failover.
async fn select(
    context: &Context,
    of: &Of,
    skip: usize,
    most: usize,
    is_wanted: impl Fn(&RecoveryRow) -> bool,
) -> Result<Vec<RecoveryRow>, Failure> {
    let cluster = match of {
        Of::All => None,
        Of::Cluster(id) => Some(id),
        Of::Unknown => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    let mut passed = 0;
    for first in (0..ROWS_MAX).step_by(CHUNK as usize) {
        let rows = context
            .app
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
pub(super) async fn find_number(
    context: &Context,
    number: &str,
) -> Result<Option<RecoveryId>, Failure> {
    let is_it = |row: &RecoveryRow| row.number.to_string() == number;
    let rows = select(context, &Of::All, 0, 1, is_it).await?;
    Ok(rows.into_iter().next().map(|row| row.id))
}

/// Recoveries about a server that are not acknowledged.
pub(super) async fn open_ones(
    context: &Context,
    server: &baton_core::ids::ServerId,
) -> Result<Vec<RecoveryId>, Failure> {
    let is_it = |row: &RecoveryRow| row.failed == *server && row.acknowledged.is_none();
    let rows = select(context, &Of::All, 0, usize::MAX, is_it).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn steps(context: &Context, uid: &str) -> Result<Answer, Failure> {
    match context.app.control.recovery(&RecoveryId::new(uid)).await {
        Ok((_, steps)) => bare(&steps.into_iter().map(step).collect::<Vec<_>>()),
        Err(RequestError::NotFound { .. }) => bare::<[u8]>(&[]),
        Err(error) => Err(error.into()),
    }
}

async fn audit(
    context: &Context,
    of: Option<(&str, &str)>,
    number: &str,
) -> Result<Answer, Failure> {
    let skip = number
        .parse::<usize>()
        .unwrap_or_default()
        .saturating_mul(PAGE);
    let Some((host, port)) = of else {
        let skip = u32::try_from(skip).unwrap_or(u32::MAX);
        let rows = context.app.control.audits(skip, PAGE as u32).await?;
        return bare(&rows.into_iter().map(line).collect::<Vec<_>>());
    };
    let asked = address(host, port)?;
    let address = context
        .fleet
        .find_server(host, port)
        .map_or(asked, |found| found.address);
    let mut found = Vec::new();
    for first in (0..ROWS_MAX).step_by(CHUNK as usize) {
        let rows = context.app.control.audits(first, CHUNK).await?;
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
