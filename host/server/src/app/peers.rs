//! Asks the other nodes whether they reach a backend.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

/// For one answer: nodes answer from memory.
const LIMIT: Duration = Duration::from_secs(2);

/// What the other nodes have against the use of a backend. Those that do not answer are passed over only if that is wanted.
pub(super) async fn against(peers: &[String], backend: &str, without_silent: bool) -> Vec<String> {
    let asked: Vec<_> = peers
        .iter()
        .map(|peer| {
            let (peer, backend) = (peer.clone(), backend.to_owned());
            tokio::task::spawn_blocking(move || verdict(&peer, &backend))
        })
        .collect();
    let mut reasons = Vec::new();
    for task in asked {
        match task.await {
            Ok(Verdict::Reaches) => {}
            Ok(Verdict::Silent(_)) if without_silent => {}
            Ok(Verdict::Silent(why) | Verdict::Against(why)) => reasons.push(why),
            Err(error) => reasons.push(format!("asking a node failed: {error}")),
        }
    }
    reasons
}

enum Verdict {
    Reaches,
    Silent(String),
    Against(String),
}

fn verdict(peer: &str, backend: &str) -> Verdict {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .proxy(None)
        .build()
        .into();
    let answer = agent.get(format!("{peer}/api/v1/backend")).call();
    let text = answer.and_then(|response| response.into_body().read_to_string());
    match text {
        Err(error) => Verdict::Silent(format!(
            "{peer} does not say whether it reaches {backend} ({error}): start it, or move without peers that are silent"
        )),
        Ok(text) => judge(peer, backend, &text),
    }
}

fn judge(peer: &str, backend: &str, text: &str) -> Verdict {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
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
    use super::*;

    fn text(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Reaches => "reaches",
            Verdict::Silent(why) | Verdict::Against(why) => why,
        }
    }

    #[test]
    fn a_peer_must_know_the_backend_and_reach_one_node_of_it() {
        let status = |state: &str| {
            format!(
                r#"{{"clusters": [{{"name": "new", "nodes": [{{"probe": {{"state": "{state}"}}}}]}}]}}"#
            )
        };
        assert_eq!(text(&judge("p", "new", &status("answering"))), "reaches");
        assert_eq!(
            text(&judge("p", "new", &status("silent"))),
            "p reaches no node of new"
        );
        for strange in [&status("answering").replace("new", "old"), "{}", "<html>"] {
            assert!(text(&judge("p", "new", strange)).contains("knows no backend new"));
        }
    }
}
