//! Leases: one row each, changed by single statements that carry their whole condition.
//!
//! No times are compared here: a contender names the state that it saw unchanged for long enough by
//! its own clock, and the holder counts its own deadline. Whoever is told `Held` was told so after
//! the commit of the very transaction in which its update matched the row, so no two are told the
//! same epoch.

use std::time::Duration;

use baton_core::ids::{LeaseEpoch, NodeName};
use baton_ports::{Claim, LeaseState};

use crate::failure::{Failure, Refusal};
use crate::limits::{LEASE_MAX, NAME_MAX, require_short};
use crate::moving;
use crate::session::Session;
use crate::value::{Row, values};

pub(crate) const FIND: &str =
    "SELECT holder, epoch, renewals, ttl_ms FROM baton_lease WHERE name = ?";
const TAKE: &str =
    "UPDATE baton_lease SET holder = ?, epoch = CASE WHEN epoch > ? THEN epoch ELSE ? END + 1, renewals = renewals + 1, ttl_ms = ?
  WHERE name = ? AND (((holder IS NULL OR holder = ?) AND epoch >= ?) OR (epoch = ? AND renewals = ?))";
const CREATE: &str = "INSERT INTO baton_lease (name, holder, epoch, renewals, ttl_ms, guard) VALUES (?, ?, ?, 1, ?, 0)";
const RENEW: &str =
    "UPDATE baton_lease SET renewals = renewals + 1 WHERE name = ? AND holder = ? AND epoch = ?";
const RELEASE: &str = "UPDATE baton_lease SET holder = NULL, renewals = renewals + 1
  WHERE name = ? AND holder = ? AND epoch = ?";
const GUARD: &str =
    "UPDATE baton_lease SET guard = guard + 1 WHERE name = ? AND epoch = ? AND holder IS NOT NULL";

/// No row has this epoch: it stands for "no state was seen".
const UNSEEN: i64 = -1;

/// A claim to a lease.
pub(crate) struct Bid<'a> {
    pub(crate) name: &'a str,
    pub(crate) node: &'a NodeName,
    pub(crate) ttl: Duration,
    pub(crate) expected: Option<(LeaseEpoch, u64)>,
    pub(crate) highest: LeaseEpoch,
}

/// A lease out of its row.
pub(crate) fn read(mut row: Row) -> Result<LeaseState, Failure> {
    Ok(LeaseState {
        holder: row.text_or_null("baton_lease.holder")?.map(NodeName::new),
        epoch: row.epoch("baton_lease.epoch")?,
        renewals: row.number("baton_lease.renewals")?,
        ttl: Duration::from_millis(row.number("baton_lease.ttl_ms")?),
    })
}

async fn find(session: &mut dyn Session, name: &str) -> Result<Option<LeaseState>, Failure> {
    let rows = session.fetch(FIND, values![name]).await?;
    rows.into_iter().next().map(read).transpose()
}

/// The lease, or one that nobody ever held.
async fn as_it_is(session: &mut dyn Session, name: &str) -> Result<LeaseState, Failure> {
    Ok(find(session, name).await?.unwrap_or(LeaseState {
        holder: None,
        epoch: LeaseEpoch(0),
        renewals: 0,
        ttl: Duration::ZERO,
    }))
}

/// True if the state was moved to another store: no lease is granted here any more.
async fn is_moved(session: &mut dyn Session) -> Result<bool, Refusal> {
    Ok(moving::mark(session, moving::MOVED_TO).await?.is_some())
}

/// Takes the lease if it is free, held by the same node, or as expected.
///
/// A row behind the highest epoch that was ever seen belongs to a database that lost commits. The
/// node that took the lease in one of those may still hold it, so the lease is taken only as
/// expected. Each grant has a new epoch: a node that restarted is a new holder, and what its
/// earlier process has under way is fenced.
pub(crate) async fn claim(session: &mut dyn Session, bid: &Bid<'_>) -> Result<Claim, Refusal> {
    require_short("the lease's name", bid.name, LEASE_MAX)?;
    require_short("the node's name", bid.node.as_str(), NAME_MAX)?;
    let (epoch, renewals) =
        bid.expected
            .map_or((UNSEEN.into(), UNSEEN.into()), |(epoch, renewals)| {
                (
                    crate::value::Value::from(epoch),
                    crate::value::Value::from(renewals),
                )
            });
    let values = vec![
        bid.node.into(),
        bid.highest.into(),
        bid.highest.into(),
        bid.ttl.into(),
        bid.name.into(),
        bid.node.into(),
        bid.highest.into(),
        epoch,
        renewals,
    ];
    if is_moved(session).await? {
        return Ok(Claim::Other(as_it_is(session, bid.name).await?));
    }
    let taken = session.execute(TAKE, values).await? == 1;
    if taken && is_moved(session).await? {
        // The store came to its end in between. Undone, and looked at afresh.
        return Err(Failure::Retry("the state was moved meanwhile".into()).into());
    }
    if let Some(state) = find(session, bid.name).await? {
        return Ok(if taken {
            Claim::Held(state)
        } else {
            Claim::Other(state)
        });
    }
    let first = LeaseEpoch(bid.highest.0.saturating_add(1));
    // Two first claimants collide on the primary key: one of them is refused and claims again.
    match session
        .execute(CREATE, values![bid.name, bid.node, first, bid.ttl])
        .await
    {
        Ok(_) => {}
        Err(Failure::Duplicate(cause)) => return Err(Failure::Retry(cause).into()),
        Err(failure) => return Err(failure.into()),
    }
    let holder = Some(bid.node.clone());
    let ttl = Duration::from_millis(u64::try_from(bid.ttl.as_millis()).unwrap_or(u64::MAX));
    Ok(Claim::Held(LeaseState {
        holder,
        epoch: first,
        renewals: 1,
        ttl,
    }))
}

/// Renews the lease.
pub(crate) async fn renew(
    session: &mut dyn Session,
    name: &str,
    node: &NodeName,
    epoch: LeaseEpoch,
) -> Result<Claim, Refusal> {
    let renewed = session.execute(RENEW, values![name, node, epoch]).await? == 1;
    let state = as_it_is(session, name).await?;
    Ok(if renewed {
        Claim::Held(state)
    } else {
        Claim::Other(state)
    })
}

/// Gives the lease up; its epoch stays, so that the next one is greater.
pub(crate) async fn release(
    session: &mut dyn Session,
    name: &str,
    node: &NodeName,
    epoch: LeaseEpoch,
) -> Result<(), Refusal> {
    session.execute(RELEASE, values![name, node, epoch]).await?;
    Ok(())
}

/// The first statement of each transaction that is allowed only under a lease. It is a write, not a
/// read, because only a write collides with a change of hands on every engine.
pub(crate) async fn guard(
    session: &mut dyn Session,
    name: &str,
    epoch: LeaseEpoch,
) -> Result<(), Refusal> {
    match session.execute(GUARD, values![name, epoch]).await? {
        1 => Ok(()),
        _ => Err(Refusal::Fenced(epoch)),
    }
}
