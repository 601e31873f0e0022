//! The paths that change something, and how each is read into a [`Change`].

use std::sync::Arc;
use std::time::Duration;

use baton_control::ClusterView;
use baton_core::model::PromotionRule;

use crate::answer::{Failure, failed};
use crate::changes::{Acknowledged, Change, Choice};
use crate::clusters::{Clusters, Found, address};
use crate::endpoint::Endpoint;

/// How long a downtime lasts if the path has no duration; the predecessor's client sends the same.
const DOWNTIME: Duration = Duration::from_mins(10);

/// The paths of this group.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    [
        inventory(),
        settings(),
        recoveries(),
        switchovers(),
        failovers(),
        acknowledgements(),
        leadership(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn inventory() -> Vec<Endpoint> {
    let discover_about = "the exact name, no guess";
    vec![
        Endpoint::change("discover/:host/:port", discover_about, |_, [host, port]| {
            address(host, port).map(Change::Discover)
        }),
        Endpoint::change(
            "async-discover/:host/:port",
            discover_about,
            |_, [host, port]| address(host, port).map(Change::AsyncDiscover),
        ),
        Endpoint::change("forget/:host/:port", discover_about, |_, [host, port]| {
            address(host, port).map(Change::Forget)
        }),
        Endpoint::change("forget-cluster/:hint", "all its servers", |c, [hint]| {
            c.clusters.require_cluster(hint).map(Change::ForgetCluster)
        }),
        Endpoint::change("refresh/:host/:port", "reads it now", |c, [host, port]| {
            c.clusters.require_server(host, port).map(Change::Refresh)
        })
        .on_this_node(),
    ]
}

fn settings() -> Vec<Endpoint> {
    let downtime_about = "Baton ignores it; 10 minutes unless given";
    vec![
        Endpoint::change(
            "begin-downtime/:host/:port/:owner/:reason",
            downtime_about,
            |c, [host, port, owner, reason]| {
                downtime(&c.clusters, (host, port), (owner, reason), None)
            },
        ),
        Endpoint::change(
            "begin-downtime/:host/:port/:owner/:reason/:duration",
            downtime_about,
            |c, [host, port, owner, reason, length]| {
                downtime(&c.clusters, (host, port), (owner, reason), Some(length))
            },
        ),
        Endpoint::change(
            "end-downtime/:host/:port",
            "before its end",
            |c, [host, port]| {
                c.clusters
                    .require_server(host, port)
                    .map(Change::EndDowntime)
            },
        ),
        Endpoint::change(
            "register-candidate/:host/:port/:rule",
            "`must` is taken, too; lasts an hour unless renewed",
            |c, [host, port, rule]| candidate(&c.clusters, host, port, rule),
        ),
    ]
}

fn recoveries() -> Vec<Endpoint> {
    let about = "both the same: there are no hooks";
    let global_about = "for all clusters";
    vec![
        Endpoint::change("recover/:host/:port", about, |c, [host, port]| {
            recover(&c.clusters, (host, port), None)
        }),
        Endpoint::change(
            "recover/:host/:port/:to_host/:to_port",
            about,
            |c, [host, port, to_host, to_port]| {
                recover(&c.clusters, (host, port), Some((to_host, to_port)))
            },
        ),
        Endpoint::change("recover-lite/:host/:port", about, |c, [host, port]| {
            recover(&c.clusters, (host, port), None)
        }),
        Endpoint::change(
            "recover-lite/:host/:port/:to_host/:to_port",
            about,
            |c, [host, port, to_host, to_port]| {
                recover(&c.clusters, (host, port), Some((to_host, to_port)))
            },
        ),
        Endpoint::change("enable-global-recoveries", global_about, |_, []| {
            Ok(Change::EnableRecoveries)
        }),
        Endpoint::change("disable-global-recoveries", global_about, |_, []| {
            Ok(Change::DisableRecoveries)
        }),
    ]
}

fn switchovers() -> Vec<Endpoint> {
    let about = "a switchover; without a target there must be exactly one direct replica";
    let auto_about = "a switchover; without a target the policy chooses";
    vec![
        Endpoint::change("graceful-master-takeover/:hint", about, |c, [hint]| {
            switchover(&c.clusters, Of::Cluster(hint), None, Choice::OnlyReplica)
        }),
        Endpoint::change(
            "graceful-master-takeover/:host/:port",
            about,
            |c, [host, port]| {
                switchover(
                    &c.clusters,
                    Of::Member(host, port),
                    None,
                    Choice::OnlyReplica,
                )
            },
        ),
        Endpoint::change(
            "graceful-master-takeover/:hint/:to_host/:to_port",
            about,
            |c, [hint, host, port]| {
                let to = Some((host, port));
                switchover(&c.clusters, Of::Cluster(hint), to, Choice::OnlyReplica)
            },
        ),
        Endpoint::change(
            "graceful-master-takeover/:host/:port/:to_host/:to_port",
            about,
            |c, [host, port, to_host, to_port]| {
                let to = Some((to_host, to_port));
                switchover(&c.clusters, Of::Member(host, port), to, Choice::OnlyReplica)
            },
        ),
        Endpoint::change(
            "graceful-master-takeover-auto/:hint",
            auto_about,
            |c, [hint]| switchover(&c.clusters, Of::Cluster(hint), None, Choice::Policy),
        ),
        Endpoint::change(
            "graceful-master-takeover-auto/:host/:port",
            auto_about,
            |c, [host, port]| switchover(&c.clusters, Of::Member(host, port), None, Choice::Policy),
        ),
        Endpoint::change(
            "graceful-master-takeover-auto/:hint/:to_host/:to_port",
            auto_about,
            |c, [hint, host, port]| {
                let to = Some((host, port));
                switchover(&c.clusters, Of::Cluster(hint), to, Choice::Policy)
            },
        ),
        Endpoint::change(
            "graceful-master-takeover-auto/:host/:port/:to_host/:to_port",
            auto_about,
            |c, [host, port, to_host, to_port]| {
                let to = Some((to_host, to_port));
                switchover(&c.clusters, Of::Member(host, port), to, Choice::Policy)
            },
        ),
    ]
}

fn failovers() -> Vec<Endpoint> {
    let about = "a failover, also of a living primary";
    let to_about = "the same, to this server or to none";
    vec![
        Endpoint::change("force-master-failover/:hint", about, |c, [hint]| {
            failover(&c.clusters, Of::Cluster(hint), None)
        }),
        Endpoint::change(
            "force-master-failover/:host/:port",
            about,
            |c, [host, port]| failover(&c.clusters, Of::Member(host, port), None),
        ),
        Endpoint::change(
            "force-master-takeover/:hint/:to_host/:to_port",
            to_about,
            |c, [hint, host, port]| failover(&c.clusters, Of::Cluster(hint), Some((host, port))),
        ),
        Endpoint::change(
            "force-master-takeover/:host/:port/:to_host/:to_port",
            to_about,
            |c, [host, port, to_host, to_port]| {
                failover(
                    &c.clusters,
                    Of::Member(host, port),
                    Some((to_host, to_port)),
                )
            },
        ),
    ]
}

fn acknowledgements() -> Vec<Endpoint> {
    let about = "`?comment=` is required";
    vec![
        Endpoint::change("ack-all-recoveries", about, |_, []| {
            Ok(Change::Acknowledge(Acknowledged::All))
        }),
        Endpoint::change("ack-recovery/:id", about, |_, [number]| {
            Ok(Change::Acknowledge(Acknowledged::Number(number.to_owned())))
        }),
        Endpoint::change("ack-recovery/uid/:uid", about, |_, [uid]| {
            Ok(Change::Acknowledge(Acknowledged::Uid(uid.to_owned())))
        }),
        Endpoint::change("ack-recovery/cluster/:hint", about, |c, [hint]| {
            let cluster = c.clusters.require_cluster(hint)?;
            Ok(Change::Acknowledge(Acknowledged::Cluster(cluster)))
        }),
        Endpoint::change("ack-recovery/cluster/alias/:alias", about, |c, [alias]| {
            let cluster = c.clusters.require_alias(alias)?;
            Ok(Change::Acknowledge(Acknowledged::Cluster(cluster)))
        }),
        Endpoint::change(
            "ack-recovery/instance/:host/:port",
            about,
            |c, [host, port]| {
                let server = c.clusters.require_server(host, port)?;
                Ok(Change::Acknowledge(Acknowledged::Server(server)))
            },
        ),
    ]
}

fn leadership() -> Vec<Endpoint> {
    vec![
        Endpoint::change("reelect", "the leader gives the lease up", |_, []| {
            Ok(Change::Reelect)
        }),
        Endpoint::change("grab-election", "this node takes the lease", |_, []| {
            Ok(Change::GrabElection)
        })
        .on_this_node(),
    ]
}

/// How a path names a cluster.
#[derive(Clone, Copy)]
enum Of<'a> {
    /// By one of its names.
    Cluster(&'a str),
    /// By host and port of a member.
    Member(&'a str, &'a str),
}

impl Of<'_> {
    fn require(self, clusters: &Clusters) -> Result<Arc<ClusterView>, Failure> {
        match self {
            Self::Cluster(hint) => clusters.require_cluster(hint),
            Self::Member(host, port) => {
                let found = clusters.require_server(host, port)?;
                Ok(found.view)
            }
        }
    }
}

fn server(clusters: &Clusters, at: Option<(&str, &str)>) -> Result<Option<Found>, Failure> {
    at.map(|(host, port)| clusters.require_server(host, port))
        .transpose()
}

fn switchover(
    clusters: &Clusters,
    of: Of<'_>,
    to: Option<(&str, &str)>,
    choice: Choice,
) -> Result<Change, Failure> {
    Ok(Change::Switchover {
        cluster: of.require(clusters)?,
        to: server(clusters, to)?,
        choice,
    })
}

fn failover(clusters: &Clusters, of: Of<'_>, to: Option<(&str, &str)>) -> Result<Change, Failure> {
    let cluster = of.require(clusters)?;
    Ok(Change::Failover(cluster, server(clusters, to)?))
}

fn recover(
    clusters: &Clusters,
    (host, port): (&str, &str),
    to: Option<(&str, &str)>,
) -> Result<Change, Failure> {
    let found = clusters.require_server(host, port)?;
    Ok(Change::Recover(found, server(clusters, to)?))
}

fn downtime(
    clusters: &Clusters,
    (host, port): (&str, &str),
    (owner, reason): (&str, &str),
    length: Option<&str>,
) -> Result<Change, Failure> {
    let server = clusters.require_server(host, port)?;
    let length = length.map_or(Ok(DOWNTIME), duration)?;
    Ok(Change::BeginDowntime {
        server,
        owner: owner.to_owned(),
        reason: reason.to_owned(),
        length,
    })
}

fn candidate(clusters: &Clusters, host: &str, port: &str, rule: &str) -> Result<Change, Failure> {
    let server = clusters.require_server(host, port)?;
    let rule = PromotionRule::parse(rule)
        .ok_or_else(|| failed(format!("Invalid CandidatePromotionRule: {rule}")))?;
    Ok(Change::RegisterCandidate(server, rule))
}

/// `10m` and the like; the predecessor takes one number and one of `smhdw`.
fn duration(text: &str) -> Result<Duration, Failure> {
    let refused = || failed(format!("Invalid duration: {text}"));
    let mut number = text.chars();
    let unit: u64 = match number.next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86400,
        Some('w') => 7 * 86400,
        _ => return Err(refused()),
    };
    let digits = number.as_str();
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(refused());
    }
    let number = digits.parse::<u64>().map_err(|_| refused())?;
    number
        .checked_mul(unit)
        .map(Duration::from_secs)
        .ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_predecessors_grammar() {
        let seconds = |text: &str| duration(text).ok().map(|d| d.as_secs());
        assert_eq!(seconds("10m"), Some(600));
        assert_eq!(seconds("2w"), Some(1_209_600));
        for bad in [
            "",
            "m",
            "10",
            "1.5h",
            "-1s",
            "+1s",
            "10M",
            "99999999999999999999s",
            "9999999999999999999w",
            "1µ",
        ] {
            assert_eq!(seconds(bad), None, "{bad:?} was accepted");
        }
    }
}
