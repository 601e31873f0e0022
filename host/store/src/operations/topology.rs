//! Servers and clusters.

use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::model::PromotionRule;
use baton_core::time::WallTime;
use baton_ports::{ClusterRecord, ServerRecord};

use crate::failure::{Failure, Refusal};
use crate::limits::{NAME_MAX, SERVER_MAX, require_short};
use crate::operations::lease;
use crate::session::Session;
use crate::value::{Row, list_text, parse_address, values};

pub(crate) const SERVERS: &str =
    "SELECT id, address, uid, cluster_id, last_seen_ms, aliases, promotion,
  promotion_expires_ms, quarantine FROM baton_server ORDER BY id";
const REPLACE_SERVER: &str = "UPDATE baton_server SET address = ?, uid = ?, cluster_id = ?, last_seen_ms = ?, aliases = ? WHERE id = ?";
const INSERT_SERVER: &str = "INSERT INTO baton_server
  (address, uid, cluster_id, last_seen_ms, aliases, id, promotion) VALUES (?, ?, ?, ?, ?, ?, ?)";
const HAS_SERVER: &str = "SELECT 1 FROM baton_server WHERE id = ?";
const FORGET_DOWNTIME: &str = "DELETE FROM baton_downtime WHERE server_id = ?";
const FORGET_INTENT: &str = "UPDATE baton_cluster SET primary_id = NULL WHERE primary_id = ?";
const FORGET_SERVER: &str = "DELETE FROM baton_server WHERE id = ?";
const SET_PROMOTION: &str =
    "UPDATE baton_server SET promotion = ?, promotion_expires_ms = ? WHERE id = ?";
const SET_QUARANTINE: &str = "UPDATE baton_server SET quarantine = ? WHERE id = ?";
pub(crate) const CLUSTERS: &str =
    "SELECT id, name, primary_id, primary_epoch FROM baton_cluster ORDER BY name";
const CLUSTER_NAMED: &str = "SELECT id FROM baton_cluster WHERE name = ?";
const RENAME_CLUSTER: &str = "UPDATE baton_cluster SET name = ? WHERE id = ?";
const INSERT_CLUSTER: &str = "INSERT INTO baton_cluster (name, id, primary_epoch) VALUES (?, ?, 0)";
const SERVER_OF_CLUSTER: &str =
    "SELECT id FROM baton_server WHERE cluster_id = ? ORDER BY id LIMIT 1";
const FORGET_CLUSTER: &str = "DELETE FROM baton_cluster WHERE id = ?";
const FORGET_HISTORY: &str = "DELETE FROM baton_history WHERE cluster_id = ?";
const SET_PRIMARY: &str = "UPDATE baton_cluster SET primary_id = ?, primary_epoch = ?
  WHERE id = ? AND primary_epoch <= ?";
const HAS_CLUSTER: &str = "SELECT 1 FROM baton_cluster WHERE id = ?";

/// A server out of its row.
pub(crate) fn read_server(mut row: Row) -> Result<ServerRecord, Failure> {
    let id = ServerId::new(row.text("baton_server.id")?);
    let address = row.address("baton_server.address")?;
    let uid = row.text_or_null("baton_server.uid")?;
    let cluster = row
        .text_or_null("baton_server.cluster_id")?
        .map(ClusterId::new);
    let last_seen = row.time_or_null("baton_server.last_seen_ms")?;
    let aliases = row.list("baton_server.aliases")?;
    let aliases = aliases
        .iter()
        .map(|text| parse_address("baton_server.aliases", text))
        .collect::<Result<_, _>>()?;
    Ok(ServerRecord {
        id,
        address,
        uid,
        cluster,
        last_seen,
        aliases,
        promotion: row.word("baton_server.promotion", PromotionRule::from_word)?,
        promotion_expires: row.time_or_null("baton_server.promotion_expires_ms")?,
        quarantine: row.text_or_null("baton_server.quarantine")?,
    })
}

/// A cluster out of its row.
pub(crate) fn read_cluster(mut row: Row) -> Result<ClusterRecord, Failure> {
    Ok(ClusterRecord {
        id: ClusterId::new(row.text("baton_cluster.id")?),
        name: row.text("baton_cluster.name")?,
        primary: row.server_or_null("baton_cluster.primary_id")?,
        primary_epoch: row.epoch("baton_cluster.primary_epoch")?,
    })
}

/// Inserts or replaces servers, but for what operators said about them.
pub(crate) async fn put_servers(
    session: &mut dyn Session,
    rows: &[ServerRecord],
) -> Result<(), Refusal> {
    for row in rows {
        put_server(session, row).await?;
    }
    Ok(())
}

async fn put_server(session: &mut dyn Session, row: &ServerRecord) -> Result<(), Refusal> {
    // Named one by one, so that a new field stops the build here. The last three belong to other
    // calls.
    let ServerRecord {
        id,
        address,
        uid,
        cluster,
        last_seen,
        aliases,
        promotion: _,
        promotion_expires: _,
        quarantine: _,
    } = row;
    let address = address.to_string();
    require_short("the server's identity", id.as_str(), SERVER_MAX)?;
    require_short("the server's address", &address, SERVER_MAX)?;
    require_short(
        "the server's own identity",
        uid.as_deref().unwrap_or_default(),
        NAME_MAX,
    )?;
    let aliases = list_text(aliases.iter().map(ToString::to_string));
    let mut values = values![
        address,
        uid.clone(),
        cluster.as_ref(),
        *last_seen,
        aliases,
        id
    ];
    if session.execute(REPLACE_SERVER, values.clone()).await? == 0 {
        values.push(PromotionRule::default().word().into());
        session.execute(INSERT_SERVER, values).await?;
    }
    Ok(())
}

/// Forgets a server. Recoveries and audit lines are history and stay.
pub(crate) async fn forget_server(
    session: &mut dyn Session,
    id: &ServerId,
) -> Result<bool, Refusal> {
    session.execute(FORGET_DOWNTIME, values![id]).await?;
    session.execute(FORGET_INTENT, values![id]).await?;
    Ok(session.execute(FORGET_SERVER, values![id]).await? == 1)
}

/// Refuses a server that is not recorded.
pub(crate) async fn require_server(
    session: &mut dyn Session,
    id: &ServerId,
) -> Result<(), Refusal> {
    if session.fetch(HAS_SERVER, values![id]).await?.is_empty() {
        return Err(Refusal::Conflict(format!("server {id} is not recorded")));
    }
    Ok(())
}

/// Sets the promotion rule of a recorded server.
pub(crate) async fn set_promotion(
    session: &mut dyn Session,
    id: &ServerId,
    rule: PromotionRule,
    expires: Option<WallTime>,
) -> Result<(), Refusal> {
    require_server(session, id).await?;
    session
        .execute(SET_PROMOTION, values![rule.word(), expires, id])
        .await?;
    Ok(())
}

/// Sets or clears the quarantine of a recorded server.
pub(crate) async fn set_quarantine(
    session: &mut dyn Session,
    id: &ServerId,
    errant: Option<&str>,
) -> Result<(), Refusal> {
    require_server(session, id).await?;
    session.execute(SET_QUARANTINE, values![errant, id]).await?;
    Ok(())
}

/// Inserts or renames a cluster.
pub(crate) async fn put_cluster(
    session: &mut dyn Session,
    id: &ClusterId,
    name: &str,
) -> Result<(), Refusal> {
    require_short("the cluster's identity", id.as_str(), NAME_MAX)?;
    require_short("the cluster's name", name, NAME_MAX)?;
    for mut row in session.fetch(CLUSTER_NAMED, values![name]).await? {
        let other = row.text("baton_cluster.id")?;
        if other != id.as_str() {
            return Err(Refusal::Conflict(format!(
                "cluster {other} has the name {name:?} already"
            )));
        }
    }
    if session.execute(RENAME_CLUSTER, values![name, id]).await? == 0 {
        session.execute(INSERT_CLUSTER, values![name, id]).await?;
    }
    Ok(())
}

/// Removes a cluster without servers.
pub(crate) async fn forget_cluster(
    session: &mut dyn Session,
    id: &ClusterId,
) -> Result<(), Refusal> {
    if let Some(mut row) = session
        .fetch(SERVER_OF_CLUSTER, values![id])
        .await?
        .into_iter()
        .next()
    {
        let server = row.text("baton_server.id")?;
        return Err(Refusal::Conflict(format!(
            "cluster {id} still has server {server}"
        )));
    }
    session.execute(FORGET_HISTORY, values![id]).await?;
    session.execute(FORGET_CLUSTER, values![id]).await?;
    Ok(())
}

/// Records the intended primary.
pub(crate) async fn set_primary(
    session: &mut dyn Session,
    lease: &str,
    epoch: LeaseEpoch,
    cluster: &ClusterId,
    primary: &ServerId,
) -> Result<(), Refusal> {
    lease::guard(session, lease, epoch).await?;
    require_short("the server's identity", primary.as_str(), SERVER_MAX)?;
    if session
        .execute(SET_PRIMARY, values![primary, epoch, cluster, epoch])
        .await?
        == 1
    {
        return Ok(());
    }
    if session
        .fetch(HAS_CLUSTER, values![cluster])
        .await?
        .is_empty()
    {
        return Err(Refusal::Conflict(format!(
            "cluster {cluster} is not recorded"
        )));
    }
    Err(Refusal::Fenced(epoch))
}
