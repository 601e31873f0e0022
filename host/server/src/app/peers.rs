//! Asks the other nodes whether they reach a backend.

use std::time::Duration;

use baton_http::{HttpPeers, PeerBackend};
use baton_ports::PeerFailure;
use futures::future::join_all;

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
    match peers.backends(url, LIMIT).await {
        Ok(known) => judge(url, backend, &known),
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

fn judge(peer: &str, backend: &str, known: &[PeerBackend]) -> Verdict {
    match known.iter().find(|known| known.name == backend) {
        None => Verdict::Against(format!(
            "{peer} knows no backend {backend}: give all nodes the same [[backend.cluster]]"
        )),
        Some(known) if known.answering > 0 => Verdict::Reaches,
        Some(_) => Verdict::Against(format!("{peer} reaches no node of {backend}")),
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
        let known = |name: &str, answering| {
            let name = name.to_owned();
            [PeerBackend { name, answering }]
        };
        let answering = judge("p", "new", &known("new", 1));
        assert_eq!(text(&answering), "reaches");
        let silent = judge("p", "new", &known("new", 0));
        assert_eq!(text(&silent), "p reaches no node of new");
        for strange in [known("old", 1).as_slice(), &[]] {
            assert!(text(&judge("p", "new", strange)).contains("knows no backend new"));
        }
    }
}
