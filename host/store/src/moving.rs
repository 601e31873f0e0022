//! Moving the whole state from one store to another while nodes run.
//!
//! A move has three steps, and the node that moves may die after each:
//!
//! 1. `receive`: the new store gets a closed copy, which nobody reads.
//! 2. `hand_over`: the old store ends. Its lease is taken from the holder, and a mark says where
//!    the state went, so that the old store grants no lease any more.
//! 3. `open_copy`: the new store opens the copy, under a higher epoch.
//!
//! Before step 2 the old store goes on as if nothing had happened. After it, any node may do step
//! 3. At no moment do both stores grant a lease. [`Relocation`] does the steps in order.

mod relocation;

use std::time::Duration;

use baton_core::ids::{LeaseEpoch, NodeName};
use baton_ports::{LeaseState, StoreError};

pub use self::relocation::{MoveError, MoveLimits, Relocation};
use crate::copy::{Leases, Occupied, StateDump};
use crate::failure::Refusal;
use crate::limits::{NAME_MAX, require_short};
use crate::schema::UNFINISHED;
use crate::session::{Backend, Session, Transaction};
use crate::store::{SqlStore, finish, write};
use crate::value::values;

/// Name of the row that says where the state went.
pub(crate) const MOVED_TO: &str = "moved-to";
/// Name of the row that says where a closed copy came from.
pub(crate) const COPIED_FROM: &str = "copied-from";

const MARKS: &str = "SELECT holder, epoch FROM baton_lease WHERE name = ?";
const MARK: &str = "INSERT INTO baton_lease (name, holder, epoch, renewals, ttl_ms, guard) VALUES (?, ?, ?, 0, 0, 0)";
const UNMARK: &str = "DELETE FROM baton_lease WHERE name = ? AND holder = ? AND epoch = ?";
/// Without a holder, renewals and guarded writes fail.
const END: &str = "UPDATE baton_lease SET holder = NULL, renewals = renewals + 1, guard = guard + 1
  WHERE name = ? AND epoch = ? AND holder IS NOT NULL";
const OPEN: &str = "DELETE FROM baton_switch WHERE name = 'restoring'";
const LEASE: &str = "INSERT INTO baton_lease (name, holder, epoch, renewals, ttl_ms, guard) VALUES (?, ?, ?, 1, ?, 0)";
const LEASES: &str = "SELECT holder, epoch, renewals, ttl_ms FROM baton_lease WHERE name = ?";

/// A move, as its marks tell it in both stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The backend that held the state.
    pub from: String,
    /// The one that gets it.
    pub to: String,
    /// Epoch of the lease under which it is moved.
    pub epoch: LeaseEpoch,
}

/// The lease as it is to stand in the new store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedLease {
    /// Its name.
    pub name: String,
    /// Who holds it; `None` = whoever claims it first.
    pub holder: Option<NodeName>,
    /// Its time to live.
    pub ttl: Duration,
}

impl<B: Backend> SqlStore<B> {
    /// The store that the state was moved to, and the epoch of the move.
    pub async fn moved_to(&self) -> Result<Option<(String, LeaseEpoch)>, StoreError> {
        write!(self, "looking where the state went", |session| async {
            mark(session, MOVED_TO).await
        })
    }

    /// Puts a closed copy in place. A closed copy, or what was left when the state moved away, may
    /// be replaced.
    pub async fn receive(&self, copy: &StateDump, of: &Move) -> Result<(), StoreError> {
        let occupied = match self.moved_to().await? {
            Some(_) => Occupied::Replace,
            None => Occupied::Refuse,
        };
        self.fill(copy, occupied, Leases::Leave).await?;
        write!(self, "marking a closed copy", |session| async {
            require_short("the backend's name", &of.from, NAME_MAX)?;
            if mark(session, COPIED_FROM).await?.is_none() {
                session
                    .execute(MARK, values![COPIED_FROM, of.from.as_str(), of.epoch])
                    .await?;
            }
            Ok(())
        })
    }

    /// Ends this store: it grants no lease any more, and the one that was granted ends.
    pub async fn hand_over(&self, lease: &str, of: &Move) -> Result<(), StoreError> {
        write!(self, "ending the store", |session| async {
            require_short("the backend's name", &of.to, NAME_MAX)?;
            if let Some((to, epoch)) = mark(session, MOVED_TO).await? {
                return if to == of.to && epoch == of.epoch {
                    Ok(())
                } else {
                    Err(Refusal::Conflict(format!(
                        "the state was moved to {to} before, under epoch {epoch}"
                    )))
                };
            }
            if session.execute(END, values![lease, of.epoch]).await? != 1 {
                return Err(Refusal::Fenced(of.epoch));
            }
            session
                .execute(MARK, values![MOVED_TO, of.to.as_str(), of.epoch])
                .await?;
            Ok(())
        })
    }

    /// Opens the copy that this move put here, with the lease under the next epoch. If it is open
    /// already, gives the lease as it is.
    pub async fn open_copy(&self, of: &Move, lease: &MovedLease) -> Result<LeaseState, StoreError> {
        write!(self, "opening a copy of the state", |session| open_copy(
            session, of, lease
        ))
    }
}

async fn open_copy(
    session: &mut dyn Transaction,
    of: &Move,
    lease: &MovedLease,
) -> Result<LeaseState, Refusal> {
    let name = lease.name.as_str();
    let is_closed = !session.fetch(UNFINISHED, Vec::new()).await?.is_empty();
    let from = values![COPIED_FROM, of.from.as_str(), of.epoch];
    if is_closed && session.execute(UNMARK, from).await? != 1 {
        return Err(Refusal::Conflict(format!(
            "the copy in {} is not whole, or not the one of {} under epoch {}",
            of.to, of.from, of.epoch
        )));
    }
    if is_closed {
        let epoch = LeaseEpoch(of.epoch.0.saturating_add(1));
        session
            .execute(
                LEASE,
                values![name, lease.holder.as_ref(), epoch, lease.ttl],
            )
            .await?;
        session.execute(OPEN, Vec::new()).await?;
    }
    let rows = session.fetch(LEASES, values![name]).await?;
    let state = rows.into_iter().next().map(crate::operations::lease::read);
    let state = state.transpose()?;
    state.filter(|state| state.epoch > of.epoch).ok_or_else(|| {
        Refusal::Conflict(format!(
            "{} holds no lease after epoch {}, so it holds another state",
            of.to, of.epoch
        ))
    })
}

/// What a mark says.
pub(crate) async fn mark(
    session: &mut dyn Session,
    name: &str,
) -> Result<Option<(String, LeaseEpoch)>, Refusal> {
    let Some(mut row) = session
        .fetch(MARKS, values![name])
        .await?
        .into_iter()
        .next()
    else {
        return Ok(None);
    };
    Ok(Some((
        row.text("baton_lease.holder")?,
        row.epoch("baton_lease.epoch")?,
    )))
}
