//! Routes: where clients are sent.

use baton_core::ids::LeaseEpoch;
use baton_ports::Route;

use crate::failure::{Failure, Refusal};
use crate::limits::{ROUTE_MAX, require_short};
use crate::operations::lease;
use crate::session::Session;
use crate::value::{Row, values};

pub(crate) const ROUTES: &str =
    "SELECT route_key, target, epoch FROM baton_route ORDER BY route_key";
const EPOCH: &str = "SELECT epoch FROM baton_route WHERE route_key = ?";
const REPLACE: &str = "UPDATE baton_route SET target = ?, epoch = ? WHERE route_key = ?";
const INSERT: &str = "INSERT INTO baton_route (target, epoch, route_key) VALUES (?, ?, ?)";

/// A route out of its row.
pub(crate) fn read(mut row: Row) -> Result<Route, Failure> {
    Ok(Route {
        key: row.text("baton_route.route_key")?,
        value: row.text("baton_route.target")?,
        epoch: row.epoch("baton_route.epoch")?,
    })
}

/// Writes routes; those with a newer epoch stay. The epoch stored is `epoch`, under which the lease
/// is held.
pub(crate) async fn put(
    session: &mut dyn Session,
    lease: &str,
    epoch: LeaseEpoch,
    routes: &[Route],
) -> Result<(), Refusal> {
    lease::guard(session, lease, epoch).await?;
    for Route {
        key,
        value,
        epoch: _,
    } in routes
    {
        put_one(session, (key, value), epoch, |stored| stored <= epoch).await?;
    }
    Ok(())
}

/// Writes a route under its own epoch, if none of a later one is there.
pub(super) async fn put_unless_newer(
    session: &mut dyn Session,
    route: &Route,
) -> Result<(), Refusal> {
    let Route { key, value, epoch } = route;
    put_one(session, (key, value), *epoch, |stored| stored <= *epoch).await
}

async fn put_one(
    session: &mut dyn Session,
    (key, value): (&str, &str),
    epoch: LeaseEpoch,
    gives_way: impl FnOnce(LeaseEpoch) -> bool,
) -> Result<(), Refusal> {
    require_short("the route's key", key, ROUTE_MAX)?;
    let values = values![value, epoch, key];
    let stored = session.fetch(EPOCH, values![key]).await?.into_iter().next();
    match stored
        .map(|mut row| row.epoch("baton_route.epoch"))
        .transpose()?
    {
        None => {
            session.execute(INSERT, values).await?;
        }
        Some(stored) if gives_way(stored) => {
            session.execute(REPLACE, values).await?;
        }
        Some(_) => {}
    }
    Ok(())
}
