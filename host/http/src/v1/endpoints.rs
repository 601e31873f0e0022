//! The table of endpoints of `/api/v1`. To add one: a row here, a handler, its documents in
//! `schema`.

use super::endpoint::Endpoint;
use super::{changes, nodes, openapi, peers, reads, watch};

/// All endpoints.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let groups = [nodes_and_backend(), clusters(), servers(), records()];
    groups.into_iter().flatten().collect()
}

/// This node, the other nodes, and the databases of Baton's own state.
fn nodes_and_backend() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/openapi.json", openapi::show, "This document."),
        Endpoint::get(
            "/node",
            reads::node,
            "This node: lease, leader, store, policy, counters.",
        ),
        Endpoint::post(
            "/node/reelect",
            nodes::reelect,
            "The node that leads gives the lease up, so that another one leads. Refused \
         during a recovery, and where nobody could take over.",
        ),
        Endpoint::post(
            "/node/grab-election",
            nodes::grab_election,
            "This node takes the lease, also from another leader.",
        )
        .on_this_node(),
        Endpoint::get(
            "/nodes",
            nodes::list,
            "All Baton nodes, as this one knows them: who lives, who leads, who hears whom.",
        ),
        Endpoint::delete(
            "/nodes/{node}",
            nodes::forget,
            "Forget a node that is gone for good. Refused while it lives.",
        ),
        Endpoint::get(
            "/peer/report",
            peers::report,
            "What this node tells the other nodes of itself: at once if it is not what \
         `seen` stands for, else when it changes.",
        ),
        Endpoint::post(
            "/peer/sightings",
            peers::sightings,
            "How this node sees servers, for the other nodes. Changes nothing; servers it \
         does not watch are left out.",
        )
        .reads(),
        Endpoint::get("/policies", reads::policies, "Policies in force."),
        Endpoint::get(
            "/backend",
            reads::backend,
            "The databases of Baton's own state: nodes, what stands against each, and which \
         one is used.",
        ),
        Endpoint::post(
            "/backend/move",
            changes::move_backend,
            "Move the state to another of the configured backends, and use that one from \
         then on. Waits for the end.",
        ),
    ]
}

/// Clusters.
fn clusters() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/clusters",
            reads::clusters,
            "Summaries of all clusters, by name.",
        ),
        Endpoint::get(
            "/clusters/{cluster}",
            reads::cluster,
            "One cluster with servers, channels, findings, past recoveries.",
        ),
        Endpoint::get(
            "/clusters/{cluster}/findings",
            reads::cluster_findings,
            "What is wrong with it, with evidence.",
        ),
        Endpoint::get(
            "/clusters/{cluster}/explanation",
            reads::explanation,
            "What is wrong, what Baton would do now and why, what stops it, whom it would \
         promote and what would be lost. Asks the policy; changes nothing.",
        ),
        Endpoint::post(
            "/clusters/{cluster}/forecast",
            reads::forecast,
            "What an order would come to now: each step, who would take over, what stands in \
         the way. The same operation with no effect performed; asks the policy, changes nothing.",
        )
        .reads(),
        Endpoint::get(
            "/clusters/{cluster}/recoveries",
            reads::cluster_recoveries,
            "Its recoveries, newest first.",
        ),
        Endpoint::get(
            "/clusters/{cluster}/watch",
            watch::cluster,
            "Server-sent events: `cluster` with the whole state at once and after each \
         change; `gone` at the end.",
        ),
        Endpoint::post(
            "/clusters/{cluster}/failover",
            changes::failover,
            "Replace the primary although it may be alive (it is fenced first if it \
         answers). Answers at the end.",
        ),
        Endpoint::post(
            "/clusters/{cluster}/switchover",
            changes::switchover,
            "Replace a living primary without losing anything. Answers at the end.",
        ),
        Endpoint::post(
            "/clusters/{cluster}/refresh",
            changes::refresh_cluster,
            "The node that leads reads all its servers now. Answers with the new state; a server \
         that does not answer shows as such.",
        ),
        Endpoint::post("/clusters/{cluster}/rename", changes::rename, "Rename it."),
        Endpoint::post(
            "/clusters/{cluster}/acknowledge",
            changes::acknowledge_cluster,
            "Acknowledge its ended recoveries.",
        ),
    ]
}

/// Servers.
fn servers() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/servers", reads::servers, "All servers."),
        Endpoint::get("/servers/{server}", reads::server, "One server."),
        Endpoint::delete(
            "/servers/{server}",
            changes::forget,
            "Forget it; it is not rediscovered through others for a while.",
        ),
        Endpoint::post(
            "/servers/{server}/downtime",
            changes::begin_downtime,
            "Have Baton ignore it for a time.",
        ),
        Endpoint::delete(
            "/servers/{server}/downtime",
            changes::end_downtime,
            "End its downtime.",
        ),
        Endpoint::post(
            "/servers/{server}/promotion",
            changes::promotion,
            "Say how much it is wanted as a primary.",
        ),
        Endpoint::post(
            "/servers/{server}/recover",
            changes::recover,
            "Recover whatever finding it has now, by a person's order. Answers at the end.",
        ),
        Endpoint::post(
            "/servers/{server}/refresh",
            changes::refresh,
            "Read it now.",
        )
        .on_this_node(),
        Endpoint::post(
            "/servers/{server}/rejoin",
            changes::rejoin,
            "Attach it to the present primary; refused with its errant transactions listed. \
         Answers at the end.",
        ),
        Endpoint::get("/strays", reads::strays, "Addresses that never answered."),
        Endpoint::post(
            "/discover",
            changes::discover,
            "Probe an address now and begin to watch it.",
        ),
    ]
}

/// What is wrong, what was done, and the settings of operators.
fn records() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/findings", reads::findings, "What is wrong anywhere."),
        Endpoint::get(
            "/downtimes",
            reads::downtimes,
            "Servers that Baton ignores.",
        ),
        Endpoint::get(
            "/recoveries",
            reads::recoveries,
            "Recoveries, newest first.",
        ),
        Endpoint::post(
            "/recoveries/acknowledge",
            changes::acknowledge_all,
            "Acknowledge all ended recoveries.",
        ),
        Endpoint::get(
            "/recoveries/{recovery}",
            reads::recovery,
            "One recovery with decision and journal.",
        ),
        Endpoint::get("/recoveries/{recovery}/steps", reads::steps, "Its journal."),
        Endpoint::post(
            "/recoveries/{recovery}/acknowledge",
            changes::acknowledge,
            "Acknowledge it.",
        ),
        Endpoint::get(
            "/recoveries-enabled",
            reads::recoveries_enabled,
            "The global switch; null if it cannot be read, which means off.",
        ),
        Endpoint::post(
            "/recoveries-enabled",
            changes::set_recoveries_enabled,
            "Turn all recoveries on or off.",
        ),
        Endpoint::get(
            "/routes",
            reads::routes,
            "Where clients are sent: the internal key-value table.",
        ),
        Endpoint::get(
            "/audit",
            reads::audit,
            "The audit log, newest first; also repairs beside recoveries (`repair`: a receiver connected \
             anew or started again, semi-sync set), a repeated one once in ten minutes.",
        ),
        Endpoint::get(
            "/watch",
            watch::all,
            "Server-sent events: `clusters` with a summary of each, at once and after each \
         change.",
        ),
    ]
}
