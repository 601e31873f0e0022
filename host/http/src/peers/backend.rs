//! What a node reads of another node's document about the backends: not more than it needs, so that
//! nodes of different versions understand each other.

use serde::Deserialize;

/// A backend as another node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerBackend {
    /// Its name.
    pub name: String,
    /// How many of its nodes answer that node.
    pub answering: usize,
}

/// `GET /api/v1/backend`, as far as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct BackendsDocument {
    #[serde(default)]
    clusters: Vec<ClusterDocument>,
}

#[derive(Debug, Deserialize)]
struct ClusterDocument {
    name: String,
    #[serde(default)]
    nodes: Vec<NodeDocument>,
}

#[derive(Debug, Deserialize)]
struct NodeDocument {
    probe: ProbeDocument,
}

#[derive(Debug, Deserialize)]
struct ProbeDocument {
    state: String,
}

impl BackendsDocument {
    pub(super) fn backends(self) -> Vec<PeerBackend> {
        let backends = self.clusters.into_iter().map(|cluster| {
            let states = cluster.nodes.iter().map(|node| node.probe.state.as_str());
            PeerBackend {
                name: cluster.name,
                answering: states.filter(|state| *state == "answering").count(),
            }
        });
        backends.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(document: Value) -> Option<Vec<PeerBackend>> {
        let document: BackendsDocument = serde_json::from_value(document).ok()?;
        Some(document.backends())
    }

    #[test]
    fn a_peer_counts_the_nodes_that_answer_it() {
        let node = |state: &str| json!({"probe": {"state": state, "later": 1}});
        let nodes = [
            node("answering"),
            node("silent"),
            node("of-a-later-version"),
        ];
        let found = read(json!({"clusters": [{"name": "new", "nodes": nodes}]}));
        let backend = PeerBackend {
            name: "new".to_owned(),
            answering: 1,
        };
        assert_eq!(found, Some(vec![backend]));
        assert_eq!(read(json!({})), Some(Vec::new()));
        assert_eq!(read(json!("<html>")), None);
    }
}
