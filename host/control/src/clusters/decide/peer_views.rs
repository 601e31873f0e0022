//! Peer views: how the other Baton nodes see a server that does not answer here. They are asked as
//! soon as the server is missed, so that their answers are there when the evidence is complete.

use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{NodeName, ServerId};
use baton_core::model::{Reach, RecoveryKind, Snapshot};
use baton_core::planning::Reason;
use baton_core::policy::{self, AssessQuestion, Indexed, PeerView, ProbeView};
use baton_core::time::Timestamp;
use baton_ports::PeerSighting;

use super::ClusterLoop;
use crate::clusters::members::Members;
use crate::leadership::PeerTable;

/// How long peers are waited for: those that are known to be silent are not asked at all.
const LIMIT: Duration = Duration::from_millis(100);
/// Peers that do not see the loss yet are asked again after this.
const AGAIN: Duration = Duration::from_millis(100);

/// Answers about one server.
#[derive(Clone, Debug)]
pub(crate) struct PeerViews {
    server: ServerId,
    at: Timestamp,
    views: Vec<(NodeName, PeerSighting)>,
}

/// How the peers' answers came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opinion {
    /// They miss the server, too.
    pub(crate) agree: u32,
    /// They had an answer from it after it was missed here.
    pub(crate) contradict: u32,
    /// They answered.
    pub(crate) asked: u32,
}

impl PeerViews {
    /// `missing`: how long the server has been missed here.
    fn opinion(&self, missing: Duration) -> Opinion {
        let mut opinion = Opinion::default();
        for (_, seen) in &self.views {
            opinion.asked += 1;
            match seen.reach {
                policy::Reach::Silent => opinion.agree += 1,
                policy::Reach::Answering | policy::Reach::Partial
                    if seen.answered_age.is_some_and(|age| age < missing) =>
                {
                    opinion.contradict += 1;
                }
                // Not asked since, or never: it cannot say.
                policy::Reach::Answering | policy::Reach::Partial | policy::Reach::NotProbed => {}
            }
        }
        opinion
    }
}

/// Asks the peers about one server.
async fn ask(members: Arc<Members>, peers: Arc<PeerTable>, server: ServerId) -> PeerViews {
    let views = match members.registry.address(&server) {
        Some(address) => peers.ask(&[address], LIMIT).await,
        None => Vec::new(),
    };
    let views = views
        .into_iter()
        .filter_map(|(name, seen)| Some((name, seen.into_iter().next()?)))
        .collect();
    PeerViews {
        server,
        at: members.clock.now(),
        views,
    }
}

impl ClusterLoop {
    /// Begins to ask about the primary when it is missed, in the background.
    pub(crate) fn ask_peers(&mut self, snapshot: &Snapshot) {
        let Some(primary) = snapshot.cluster.primary.as_ref() else {
            return;
        };
        let missed = snapshot
            .servers
            .get(primary)
            .filter(|server| server.probe.reach() == Reach::Silent)
            .and_then(|server| server.probe.failing_since);
        let Some(since) = missed else {
            self.peer_views = None;
            return;
        };
        let lately = self.peer_views.as_ref().is_some_and(|views| {
            views.server == *primary
                && views.at >= since
                && snapshot.taken_at.since(views.at) < AGAIN
        });
        let leads = snapshot.control.lease.is_some() && self.peers.count() > 0;
        if leads && !lately && self.asking.is_empty() {
            let (members, peers) = (Arc::clone(&self.members), Arc::clone(&self.peers));
            self.asking.spawn(ask(members, peers, primary.clone()));
        }
    }

    /// Adds the peer views to the question. Gives the reason not to act: answers are still awaited,
    /// or too few peers agree (`recovery.peer_confirmations`).
    pub(crate) fn add_peer_views(
        &self,
        snapshot: &Snapshot,
        (kind, server): (RecoveryKind, &ServerId),
        asked: &mut Indexed<AssessQuestion>,
    ) -> Option<Reason> {
        if !kind.replaces_lost_primary() || self.peers.count() == 0 {
            return None;
        }
        let since = super::lost_at(snapshot, server);
        let views = self
            .peer_views
            .as_ref()
            .filter(|views| views.server == *server && views.at >= since);
        let needed = self.members.registry.settings.confirmations;
        let about = vec![server.clone()];
        let Some(views) = views else {
            return (!self.asking.is_empty()).then(|| Reason {
                code: "asking-peers".to_owned(),
                text: "the other nodes are being asked how they see it".to_owned(),
                about,
            });
        };
        add_views(asked, server, views, snapshot.taken_at);
        let opinion = views.opinion(snapshot.taken_at.since(since));
        // Nodes that do not answer cannot be waited for: a failover must not need all of them.
        let needed = needed.min(opinion.asked);
        (opinion.agree < needed).then(|| Reason {
            code: "peers-do-not-agree".to_owned(),
            text: format!(
                "{} of {} nodes that answer miss it, too ({} had an answer from it since); {needed} must (recovery.peer_confirmations)",
                opinion.agree, opinion.asked, opinion.contradict
            ),
            about,
        })
    }
}

fn add_views(
    asked: &mut Indexed<AssessQuestion>,
    server: &ServerId,
    views: &PeerViews,
    now: Timestamp,
) {
    let place = asked.ids.iter().position(|id| id == server);
    let context = &mut asked.question.context;
    context.peers = views
        .views
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    context.peers_answering = u32::try_from(views.views.len()).unwrap_or(u32::MAX);
    let view = place.and_then(|place| asked.question.cluster.servers.get_mut(place));
    let Some(view) = view else {
        return;
    };
    let age = ms(now.since(views.at));
    view.peers = views
        .views
        .iter()
        .zip(0..)
        .map(|((_, seen), peer)| PeerView {
            peer,
            probe: probe(seen),
            age,
        })
        .collect();
}

fn probe(seen: &PeerSighting) -> ProbeView {
    ProbeView {
        state: seen.reach,
        failure: seen.failure.clone(),
        error_number: None,
        answered_age: seen.answered_age.map(ms),
        attempt_age: seen.attempt_age.map(ms),
        failures: seen.failures,
        successes: 0,
        round_trip_us: None,
    }
}

fn ms(time: Duration) -> policy::Ms {
    policy::Ms::try_from(time.as_millis()).unwrap_or(policy::Ms::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Opinion, PeerViews};
    use baton_core::ids::{Address, NodeName, ServerId};
    use baton_core::policy::Reach;
    use baton_core::time::Timestamp;
    use baton_ports::PeerSighting;
    use std::time::Duration;

    fn seen(reach: Reach, answered_ms: Option<u64>) -> PeerSighting {
        PeerSighting {
            address: Address {
                host: "db1".to_owned(),
                port: 3306,
            },
            reach,
            failure: None,
            answered_age: answered_ms.map(Duration::from_millis),
            attempt_age: None,
            failures: 0,
        }
    }

    #[test]
    fn an_answer_from_before_the_loss_is_no_contradiction() {
        let views = [
            seen(Reach::Silent, Some(900)),
            seen(Reach::Answering, Some(10)),
            seen(Reach::Answering, Some(900)),
            seen(Reach::NotProbed, None),
        ];
        let views = PeerViews {
            server: ServerId::new("db1:3306"),
            at: Timestamp::default(),
            views: views.map(|view| (NodeName::new("b2"), view)).to_vec(),
        };
        let opinion = views.opinion(Duration::from_millis(100));
        assert_eq!(
            opinion,
            Opinion {
                agree: 1,
                contradict: 1,
                asked: 4
            }
        );
    }
}
