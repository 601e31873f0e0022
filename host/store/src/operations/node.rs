//! Baton nodes, and the recorded members of clusters whose locks are votes.

use std::collections::BTreeSet;

use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, ServerId};
use baton_core::leadership::quorum::Voters;
use baton_ports::NodeRecord;

use crate::failure::{Failure, Refusal};
use crate::limits::{NAME_MAX, ROUTE_MAX, WORD_MAX, require_short};
use crate::operations::lease;
use crate::session::Session;
use crate::value::{Row, Value, list_text, values};

pub(crate) const NODES: &str =
    "SELECT name, start_id, url, program, beats, voters_seen FROM baton_node ORDER BY name";
const BEAT: &str = "UPDATE baton_node SET start_id = ?, url = ?, program = ?, voters_seen = ?, beats = beats + 1 WHERE name = ?";
const FIRST_BEAT: &str = "INSERT INTO baton_node (start_id, url, program, voters_seen, name, beats) VALUES (?, ?, ?, ?, ?, 1)";
const FORGET: &str = "DELETE FROM baton_node WHERE name = ?";
pub(crate) const VOTERS: &str =
    "SELECT cluster_id, version, members, members_before FROM baton_voters ORDER BY cluster_id";
const SET_VOTERS: &str =
    "UPDATE baton_voters SET version = ?, members = ?, members_before = ? WHERE cluster_id = ?";
const HAS_VOTERS: &str = "SELECT version FROM baton_voters WHERE cluster_id = ?";
const INSERT_VOTERS: &str =
    "INSERT INTO baton_voters (version, members, members_before, cluster_id) VALUES (?, ?, ?, ?)";

/// A node out of its row.
pub(crate) fn read(mut row: Row) -> Result<NodeRecord, Failure> {
    Ok(NodeRecord {
        name: NodeName::new(row.text("baton_node.name")?),
        start: row.text("baton_node.start_id")?,
        url: row.text("baton_node.url")?,
        version: row.text("baton_node.program")?,
        beats: row.number("baton_node.beats")?,
        voters_seen: row.number("baton_node.voters_seen")?,
    })
}

/// Shows that a node lives; the store counts its beats.
pub(crate) async fn beat(session: &mut dyn Session, node: &NodeRecord) -> Result<(), Refusal> {
    require_short("the node's name", node.name.as_str(), NAME_MAX)?;
    require_short("the node's URL", &node.url, ROUTE_MAX)?;
    require_short("the node's start", &node.start, WORD_MAX)?;
    let values = values![
        node.start.as_str(),
        node.url.as_str(),
        node.version.as_str(),
        node.voters_seen,
        &node.name
    ];
    if session.execute(BEAT, values.clone()).await? == 0 {
        session.execute(FIRST_BEAT, values).await?;
    }
    Ok(())
}

/// Removes a node; false if it was not known.
pub(crate) async fn forget(session: &mut dyn Session, name: &NodeName) -> Result<bool, Refusal> {
    Ok(session.execute(FORGET, values![name]).await? > 0)
}

/// Members out of their row.
pub(crate) fn read_voters(mut row: Row) -> Result<(ClusterId, Voters), Failure> {
    let set = |list: Vec<String>| list.into_iter().map(ServerId::new).collect::<BTreeSet<_>>();
    let cluster = ClusterId::new(row.text("baton_voters.cluster_id")?);
    let version = row.number("baton_voters.version")?;
    let current = set(row.list("baton_voters.members")?);
    let previous = row.list_or_null("baton_voters.members_before")?.map(set);
    Ok((
        cluster,
        Voters {
            version,
            current,
            previous,
        },
    ))
}

/// Records the members of a cluster.
pub(crate) async fn set_voters(
    session: &mut dyn Session,
    (lease, epoch): (&str, LeaseEpoch),
    cluster: &ClusterId,
    voters: &Voters,
) -> Result<(), Refusal> {
    lease::guard(session, lease, epoch).await?;
    let text = |set: &BTreeSet<ServerId>| list_text(set.iter().map(ServerId::as_str));
    let before = voters
        .previous
        .as_ref()
        .map_or(Value::Null, |set| Value::Text(text(set)));
    let values = vec![
        voters.version.into(),
        Value::Text(text(&voters.current)),
        before,
        cluster.into(),
    ];
    let known = session.fetch(HAS_VOTERS, values![cluster]).await?;
    let sql = if known.is_empty() {
        INSERT_VOTERS
    } else {
        SET_VOTERS
    };
    session.execute(sql, values).await?;
    Ok(())
}
