//! The most that was seen of each cluster's history.

use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch};

use crate::failure::{Failure, Malformed, Refusal};
use crate::operations::lease;
use crate::session::Session;
use crate::value::{Row, values};

pub(crate) const HISTORIES: &str =
    "SELECT cluster_id, flavor, transactions FROM baton_history ORDER BY cluster_id";
const FIND: &str = "SELECT cluster_id FROM baton_history WHERE cluster_id = ?";
const REPLACE: &str = "UPDATE baton_history SET flavor = ?, transactions = ? WHERE cluster_id = ?";
const INSERT: &str =
    "INSERT INTO baton_history (flavor, transactions, cluster_id) VALUES (?, ?, ?)";

const MYSQL: &str = "mysql";
const MARIADB: &str = "mariadb";

/// A history out of its row.
pub(crate) fn read(mut row: Row) -> Result<(ClusterId, GtidSet), Failure> {
    let cluster = ClusterId::new(row.text("baton_history.cluster_id")?);
    let flavor = row.text("baton_history.flavor")?;
    let text = row.text("baton_history.transactions")?;
    let set = match flavor.as_str() {
        MYSQL => GtidSet::parse_mysql(&text).ok(),
        MARIADB => GtidSet::parse_mariadb_history(&text, "").ok(),
        _ => None,
    };
    let malformed = || Malformed {
        column: "baton_history.transactions",
        found: format!("{flavor}: {text}"),
        expected: "a GTID set of mysql or mariadb",
    };
    Ok((cluster, set.ok_or_else(malformed)?))
}

/// Records what was seen of a cluster's history, instead of what was recorded before.
pub(crate) async fn put(
    session: &mut dyn Session,
    (lease, epoch): (&str, LeaseEpoch),
    cluster: &ClusterId,
    seen: &GtidSet,
) -> Result<(), Refusal> {
    lease::guard(session, lease, epoch).await?;
    let flavor = match seen {
        GtidSet::Mysql(_) => MYSQL,
        GtidSet::Mariadb(_) => MARIADB,
    };
    let text = seen.to_string();
    let known = session.fetch(FIND, values![cluster]).await?;
    let sql = if known.is_empty() { INSERT } else { REPLACE };
    session
        .execute(sql, values![flavor, text.as_str(), cluster])
        .await?;
    Ok(())
}
