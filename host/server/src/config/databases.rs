//! `[[backend.cluster]]`: databases that hold Baton's own state.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use baton_backend::{ClusterSpec, DatabaseUrl, NodeSpec, PromotionSpec, Timing};
use baton_core::policy::backend::BackendKind;

use super::Surroundings;
use super::document::Document;
use super::sections::{once, reveal, secret};
use super::value::NodeSource;

/// Path of the section.
pub(super) const SECTION: &str = "backend.cluster";

/// Keys that mean something for `master-master` only.
const PAIR_KEYS: [&str; 5] = [
    "promote_passive",
    "promote_after",
    "promote_drain",
    "admin_user",
    "admin_password",
];

/// Nodes of a pair.
const PAIR: usize = 2;

/// All backends, in the order of the file.
pub(super) fn read(
    document: &mut Document,
    data_dir: &Path,
    around: &Surroundings<'_>,
) -> Vec<ClusterSpec> {
    let (mut names, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    let mut clusters = Vec::new();
    for at in document.instances(SECTION) {
        let name_key = format!("{at}.name");
        let name = document.text(&name_key).unwrap_or_default();
        once(document, &mut names, name.clone(), &name_key);
        let kind = document
            .text(&format!("{at}.kind"))
            .and_then(|word| BackendKind::from_word(&word));
        let nodes = nodes(document, &at, (data_dir, around));
        let nodes_key = format!("{at}.nodes");
        for node in &nodes {
            once(
                document,
                &mut addresses,
                node.url.address.to_string(),
                &nodes_key,
            );
        }
        let Some(kind) = kind else { continue };
        let promotion = if kind == BackendKind::MasterMaster {
            if nodes.len() != PAIR && document.is_sound(&nodes_key) {
                document.object(
                    &nodes_key,
                    format!("must name {PAIR} nodes, since the kind is \"master-master\""),
                );
            }
            promotion(document, &at, (data_dir, around))
        } else {
            only_for_pairs(document, &at);
            None
        };
        clusters.push(ClusterSpec {
            name,
            kind,
            nodes,
            timing: timing(document, &at),
            promotion,
        });
    }
    clusters
}

fn nodes(
    document: &mut Document,
    at: &str,
    (data_dir, around): (&Path, &Surroundings<'_>),
) -> Vec<NodeSpec> {
    let key = format!("{at}.nodes");
    let mut nodes = Vec::new();
    let mut wrong = Vec::new();
    for (number, node) in (1..).zip(document.nodes(&key)) {
        let NodeSource { url, tags } = node;
        let url = match reveal(url, data_dir, around) {
            Ok(url) => DatabaseUrl::parse(url.trim()).map_err(|problem| problem.to_string()),
            Err(why) => Err(why),
        };
        match url {
            Ok(url) => nodes.push(NodeSpec { url, tags }),
            Err(why) => wrong.push(format!("node {number} {why}")),
        }
    }
    if !wrong.is_empty() {
        document.object(&key, wrong.join("; "));
    }
    nodes
}

fn timing(document: &Document, at: &str) -> Timing {
    let otherwise = Timing::default();
    let limit = |name: &str, otherwise: Duration| {
        let found = document.duration(&format!("{at}.{name}"));
        found.unwrap_or(otherwise)
    };
    Timing {
        interval: limit("probe_interval", otherwise.interval),
        connect: limit("connect_timeout", otherwise.connect),
        read: limit("read_timeout", otherwise.read),
    }
}

fn promotion(
    document: &mut Document,
    at: &str,
    (data_dir, around): (&Path, &Surroundings<'_>),
) -> Option<PromotionSpec> {
    let key = |name: &str| format!("{at}.{name}");
    let user = document.text(&key("admin_user"));
    let password_key = key("admin_password");
    if user.is_none() && document.is_given(&password_key) {
        document.object(&password_key, "is of no use without admin_user".to_owned());
    }
    let account = user.map(|user| baton_mysql::Account {
        user,
        password: baton_mysql::Secret::new(
            secret(document, &password_key, data_dir, around).reveal(),
        ),
    });
    let otherwise = PromotionSpec::default();
    let promotion = PromotionSpec {
        patience: document
            .duration(&key("promote_after"))
            .unwrap_or(otherwise.patience),
        drain: document
            .duration(&key("promote_drain"))
            .unwrap_or(otherwise.drain),
        account,
    };
    document.flag(&key("promote_passive")).then_some(promotion)
}

fn only_for_pairs(document: &mut Document, at: &str) {
    for name in PAIR_KEYS {
        let key = format!("{at}.{name}");
        if document.is_given(&key) && document.is_sound(&key) {
            let why = "means something only for the kind \"master-master\"".to_owned();
            document.object(&key, why);
        }
    }
}
