//! Asks the other nodes whether they reach a backend.

use std::time::Duration;

use baton_http::HttpPeers;
use baton_ports::PeerFailure;
use futures::future::join_all;
use serde_json::Value;

/// For one answer: nodes answer from memory.
const LIMIT: Duration = Duration::from_secs(2);

/// What the other nodes have against the use of a backend. Those that do not answer are passed over
/// only if that is wanted.
pub(super) async fn against(
    peers: &HttpPeers,
    urls: &[String],
    backend: &str,
    without_silent: bool,
) -> Vec<String> {
    let asked = urls.iter().map(|url| verdict(peers, url, backend));
    let verdicts = join_all(asked).await.into_iter();
    verdicts
        .filter_map(|verdict| match verdict {
            Verdict::Reaches => None,
            Verdict::Silent(_) if without_silent => None,
            Verdict::Silent(why) | Verdict::Against(why) => Some(why),
        })
        .collect()
}

enum Verdict {
    Reaches,
    Silent(String),
    Against(String),
}

async fn verdict(peers: &HttpPeers, url: &str, backend: &str) -> Verdict {
    match peers.backend(url, LIMIT).await {
        Ok(document) => judge(url, backend, &document),
        Err(failure) => {
            let why = match failure {
                PeerFailure::Gone => "nobody listens there",
                PeerFailure::Silent => "no answer in time",
                PeerFailure::Strange => "it answers something else than a Baton node",
            };
            Verdict::Silent(format!(
                "{url} does not say whether it reaches {backend} ({why}): start it, or move without peers that are silent"
            ))
        }
    }
}

fn judge(peer: &str, backend: &str, document: &Value) -> Verdict {
    let clusters = document.get("clusters").and_then(Value::as_array);
    let cluster = clusters
        .into_iter()
        .flatten()
        .find(|cluster| cluster.get("name").and_then(Value::as_str) == Some(backend));
    let Some(cluster) = cluster else {
        return Verdict::Against(format!(
            "{peer} knows no backend {backend}: give all nodes the same [[backend.cluster]]"
        ));
    };
    let nodes = cluster.get("nodes").and_then(Value::as_array);
    let answers = |node: &Value| {
        let state = node.pointer("/probe/state").and_then(Value::as_str);
        state == Some("answering")
    };
    if nodes.into_iter().flatten().any(answers) {
        Verdict::Reaches
    } else {
        Verdict::Against(format!("{peer} reaches no node of {backend}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Reaches => "reaches",
            Verdict::Silent(why) | Verdict::Against(why) => why,
        }
    }

    #[test]
    fn a_peer_must_know_the_backend_and_reach_one_node_of_it() {
        let status = |name: &str, state: &str| json!({"clusters": [{"name": name, "nodes": [{"probe": {"state": state}}]}]});
        let answering = judge("p", "new", &status("new", "answering"));
        assert_eq!(text(&answering), "reaches");
        let silent = judge("p", "new", &status("new", "silent"));
        assert_eq!(text(&silent), "p reaches no node of new");
        for strange in [status("old", "answering"), json!({}), json!("<html>")] {
            assert!(text(&judge("p", "new", &strange)).contains("knows no backend new"));
        }
    }
}
