//! What changes something. A path is read into a [`Change`] first, so that permission is asked in one place.

use std::sync::Arc;
use std::time::Duration;

use baton_control::{ChangePrimary, ClusterView, Control, Sureness};
use baton_core::ids::{Address, RecoveryId, ServerId};
use baton_core::model::{Downtime, PromotionRule, RecoveryOutcome};
use baton_ports::RecoveryRow;

use super::Context;
use super::answer::{Answer, Failure, done, json, said};
use super::fleet::{Fleet, Found, address};
use super::information::shown;
use super::instance::bare_instance;
use super::lens::{Lens, key};
use super::records::{find_number, open_ones};
use super::recovery::{Told, recovery};
use crate::times::now;
use crate::work::to_the_end;

/// How long a failover may take. The predecessor has no such limit; its callers have patience.
const FAILOVER_LIMIT: Duration = Duration::from_mins(1);
/// How long a downtime lasts if the path has no duration; the predecessor's client sends the same.
const DOWNTIME: Duration = Duration::from_mins(10);
/// How long a promotion rule lasts unless it is renewed, as with the predecessor.
const PROMOTION: Duration = Duration::from_hours(1);

/// A request to change something.
pub(super) enum Change {
    Discover(Address),
    AsyncDiscover(Address),
    Refresh(Found),
    Forget(Address),
    ForgetCluster(Arc<ClusterView>),
    BeginDowntime {
        server: Found,
        owner: String,
        reason: String,
        length: Duration,
    },
    EndDowntime(Found),
    RegisterCandidate(Found, PromotionRule),
    Recover(Found, Option<Found>),
    Failover(Arc<ClusterView>, Option<Found>),
    Switchover {
        cluster: Arc<ClusterView>,
        to: Option<Found>,
        choice: Choice,
    },
    Acknowledge(Acknowledged),
    EnableRecoveries,
    DisableRecoveries,
    Reelect,
    GrabElection,
}

/// Who chooses the successor if the caller names none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The only replica there is.
    OnlyReplica,
    /// The policy.
    Policy,
}

/// What is acknowledged.
pub(super) enum Acknowledged {
    All,
    Cluster(Arc<ClusterView>),
    Server(Found),
    Number(String),
    Uid(String),
}

impl Change {
    /// It is asked of the node that is spoken to, whether it leads or not.
    pub(super) fn is_of_this_node(&self) -> bool {
        matches!(self, Self::Refresh(_) | Self::GrabElection)
    }

    /// Reads a path; `None` if it changes nothing.
    pub(super) fn read(context: &Context, path: &[&str]) -> Option<Result<Self, Failure>> {
        let fleet = &context.fleet;
        let server = |host: &str, port: &str| fleet.require_server(host, port);
        Some(match path {
            ["discover", host, port] => address(host, port).map(Self::Discover),
            ["async-discover", host, port] => address(host, port).map(Self::AsyncDiscover),
            ["refresh", host, port] => server(host, port).map(Self::Refresh),
            ["forget", host, port] => address(host, port).map(Self::Forget),
            ["forget-cluster", hint] => fleet.require_cluster(hint).map(Self::ForgetCluster),
            ["begin-downtime", host, port, owner, reason] => {
                downtime(fleet, (host, port), (owner, reason), None)
            }
            ["begin-downtime", host, port, owner, reason, length] => {
                downtime(fleet, (host, port), (owner, reason), Some(length))
            }
            ["end-downtime", host, port] => server(host, port).map(Self::EndDowntime),
            ["register-candidate", host, port, rule] => candidate(fleet, host, port, rule),
            ["recover" | "recover-lite", host, port] => {
                server(host, port).map(|found| Self::Recover(found, None))
            }
            ["recover" | "recover-lite", host, port, to_host, to_port] => server(host, port)
                .and_then(|found| Ok(Self::Recover(found, Some(server(to_host, to_port)?)))),
            ["enable-global-recoveries"] => Ok(Self::EnableRecoveries),
            ["disable-global-recoveries"] => Ok(Self::DisableRecoveries),
            ["reelect"] => Ok(Self::Reelect),
            ["grab-election"] => Ok(Self::GrabElection),
            [command, rest @ ..] => {
                return read_primary_change(fleet, command, rest).or_else(|| {
                    read_acknowledgement(fleet, path).map(|read| read.map(Self::Acknowledge))
                });
            }
            [] => return None,
        })
    }
}

fn downtime(
    fleet: &Fleet,
    (host, port): (&str, &str),
    (owner, reason): (&str, &str),
    length: Option<&str>,
) -> Result<Change, Failure> {
    let server = fleet.require_server(host, port)?;
    let length = length.map_or(Ok(DOWNTIME), duration)?;
    Ok(Change::BeginDowntime {
        server,
        owner: owner.to_owned(),
        reason: reason.to_owned(),
        length,
    })
}

fn candidate(fleet: &Fleet, host: &str, port: &str, rule: &str) -> Result<Change, Failure> {
    let server = fleet.require_server(host, port)?;
    let rule = PromotionRule::parse(rule)
        .ok_or_else(|| said(format!("Invalid CandidatePromotionRule: {rule}")))?;
    Ok(Change::RegisterCandidate(server, rule))
}

fn read_primary_change(
    fleet: &Fleet,
    command: &str,
    rest: &[&str],
) -> Option<Result<Change, Failure>> {
    let choice = match command {
        "graceful-master-takeover" => Some(Choice::OnlyReplica),
        "graceful-master-takeover-auto" => Some(Choice::Policy),
        "force-master-failover" | "force-master-takeover" => None,
        _ => return None,
    };
    let is_to_required = command == "force-master-takeover";
    let is_to_possible = command != "force-master-failover";
    let member = |host: &str, port: &str| fleet.require_server(host, port).map(|found| found.view);
    let (cluster, to) = match rest {
        [hint] if !is_to_required => (fleet.require_cluster(hint), None),
        [host, port] if !is_to_required => (member(host, port), None),
        [hint, to_host, to_port] if is_to_possible => {
            (fleet.require_cluster(hint), Some((to_host, to_port)))
        }
        [host, port, to_host, to_port] if is_to_possible => {
            (member(host, port), Some((to_host, to_port)))
        }
        _ => return None,
    };
    let to = to
        .map(|(host, port)| fleet.require_server(host, port))
        .transpose();
    Some(cluster.and_then(|cluster| {
        let to = to?;
        Ok(match choice {
            Some(choice) => Change::Switchover {
                cluster,
                to,
                choice,
            },
            None => Change::Failover(cluster, to),
        })
    }))
}

fn read_acknowledgement(fleet: &Fleet, path: &[&str]) -> Option<Result<Acknowledged, Failure>> {
    Some(match path {
        ["ack-all-recoveries"] => Ok(Acknowledged::All),
        ["ack-recovery", "cluster", "alias", alias] => {
            fleet.require_alias(alias).map(Acknowledged::Cluster)
        }
        ["ack-recovery", "cluster", hint] => fleet.require_cluster(hint).map(Acknowledged::Cluster),
        ["ack-recovery", "instance", host, port] => {
            fleet.require_server(host, port).map(Acknowledged::Server)
        }
        ["ack-recovery", "uid", uid] => Ok(Acknowledged::Uid((*uid).to_owned())),
        ["ack-recovery", number] => Ok(Acknowledged::Number((*number).to_owned())),
        _ => return None,
    })
}

/// `10m` and the like; the predecessor takes one number and one of `smhdw`.
fn duration(text: &str) -> Result<Duration, Failure> {
    let refused = || said(format!("Invalid duration: {text}"));
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

/// Does it, in the name of `by`.
pub(super) async fn carry_out(
    context: &Context,
    change: Change,
    by: String,
) -> Result<Answer, Failure> {
    let control = Arc::clone(&context.app.control);
    match change {
        Change::Discover(address) => discover(context, address, by).await,
        Change::AsyncDiscover(address) => async_discover(&control, address, by),
        Change::Refresh(found) => {
            let server = found.server.clone();
            to_the_end(async move { control.refresh(&server).await }).await?;
            done(
                format!("Instance refreshed: {}", found.address),
                &key(&found.address),
            )
        }
        Change::Forget(address) => forget(context, address, by).await,
        Change::ForgetCluster(view) => forget_cluster(control, &view, by).await,
        Change::BeginDowntime {
            server,
            owner,
            reason,
            length,
        } => {
            let begins = now();
            let downtime = Downtime {
                owner,
                reason,
                begins,
                ends: begins.plus(length),
            };
            set_downtime(control, server, Some(downtime), by).await
        }
        Change::EndDowntime(server) => set_downtime(control, server, None, by).await,
        Change::RegisterCandidate(found, rule) => {
            let (server, expires) = (found.server.clone(), Some(now().plus(PROMOTION)));
            to_the_end(async move { control.set_promotion(&server, rule, expires, &by).await })
                .await?;
            done("Registered candidate", &key(&found.address))
        }
        Change::Recover(found, to) => recover(control, found, to, by).await,
        Change::Failover(view, to) => failover(context, &view, to, by).await,
        Change::Switchover {
            cluster,
            to,
            choice,
        } => switchover(context, &cluster, (to, choice), by).await,
        Change::Acknowledge(what) => acknowledge(context, what, by).await,
        Change::EnableRecoveries => {
            to_the_end(async move { control.set_recoveries_enabled(true, &by).await }).await?;
            done("Globally enabled recoveries", "enabled")
        }
        Change::DisableRecoveries => {
            to_the_end(async move { control.set_recoveries_enabled(false, &by).await }).await?;
            done("Globally disabled recoveries", "disabled")
        }
        Change::Reelect => {
            to_the_end(async move { control.reelect(&by).await }).await?;
            done("Leadership given up", &())
        }
        Change::GrabElection => {
            to_the_end(async move { control.grab_election(&by).await }).await?;
            done("This node leads", &())
        }
    }
}

async fn discover(context: &Context, address: Address, by: String) -> Result<Answer, Failure> {
    let control = Arc::clone(&context.app.control);
    let target = address.clone();
    let server = to_the_end(async move { control.discover(&target, &by).await }).await?;
    let found = context
        .app
        .control
        .find_server(server.as_str())
        .map(|(view, server)| Found {
            view,
            server,
            address: address.clone(),
        });
    // Its cluster's picture may not be published yet; the key is what callers want.
    let instance = match found {
        Some(found) => shown(&found)?,
        None => bare_instance(&address),
    };
    done(format!("Instance discovered: {address}"), &instance)
}

fn async_discover(
    control: &Arc<dyn Control>,
    address: Address,
    by: String,
) -> Result<Answer, Failure> {
    let message = format!("Asynchronous discovery initiated for Instance: {address}");
    let control = Arc::clone(control);
    tokio::spawn(async move {
        if let Err(error) = control.discover(&address, &by).await {
            tracing::warn!(%address, error = &error as &dyn std::error::Error, "discovery failed");
        }
    });
    done(message, &())
}

async fn forget(context: &Context, address: Address, by: String) -> Result<Answer, Failure> {
    let control = Arc::clone(&context.app.control);
    // Exact names only: a guess must not make another server unknown. An address that never answered has its own text
    // as identity.
    let found = context.fleet.find_exact(&address).map(|found| found.server);
    let server = found.unwrap_or_else(|| ServerId::new(address.to_string()));
    to_the_end(async move { control.forget(&server, Sureness::Sure, &by).await }).await?;
    done(format!("Instance forgotten: {address}"), &key(&address))
}

async fn forget_cluster(
    control: Arc<dyn Control>,
    view: &ClusterView,
    by: String,
) -> Result<Answer, Failure> {
    let servers: Vec<ServerId> = view.snapshot.servers.keys().cloned().collect();
    let name = Lens::of(view).name;
    let work = async move {
        for server in servers {
            control.forget(&server, Sureness::Sure, &by).await?;
        }
        Ok(())
    };
    to_the_end(work).await?;
    done(format!("Cluster forgotten: {name}"), &())
}

async fn set_downtime(
    control: Arc<dyn Control>,
    found: Found,
    downtime: Option<Downtime>,
    by: String,
) -> Result<Answer, Failure> {
    let message = if downtime.is_some() {
        "Instance downtimed"
    } else {
        "Instance no longer downtimed"
    };
    let server = found.server.clone();
    to_the_end(async move { control.set_downtime(&server, downtime, &by).await }).await?;
    done(
        format!("{message}: {}", found.address),
        &key(&found.address),
    )
}

async fn recover(
    control: Arc<dyn Control>,
    found: Found,
    to: Option<Found>,
    by: String,
) -> Result<Answer, Failure> {
    let (server, to) = (found.server, to.map(|to| to.server));
    let row = to_the_end(async move { control.recover(&server, to, None, &by).await }).await?;
    match (row.outcome, &row.successor_address) {
        (RecoveryOutcome::Succeeded, Some(successor)) => done("Recovery executed", &key(successor)),
        (RecoveryOutcome::Succeeded, None) => done("Recovery executed", &key(&row.failed_address)),
        _ => Err(said(format!(
            "Recovery attempted, {}: {}",
            row.outcome.word(),
            row.errors.join("; ")
        ))),
    }
}

async fn failover(
    context: &Context,
    view: &ClusterView,
    to: Option<Found>,
    by: String,
) -> Result<Answer, Failure> {
    let control = Arc::clone(&context.app.control);
    let request = change_primary(view, to, by, Some(FAILOVER_LIMIT));
    let row = to_the_end(async move { control.failover(request).await }).await?;
    ended(context, row, "Master failed over")
}

async fn switchover(
    context: &Context,
    view: &ClusterView,
    (to, choice): (Option<Found>, Choice),
    by: String,
) -> Result<Answer, Failure> {
    if to.is_none() && choice == Choice::OnlyReplica {
        require_only_replica(view)?;
    }
    let control = Arc::clone(&context.app.control);
    let request = change_primary(view, to, by, None);
    let row = to_the_end(async move { control.switchover(request).await }).await?;
    ended(context, row, "graceful-master-takeover: successor promoted")
}

/// The predecessor chooses for a caller of `graceful-master-takeover` only where there is nothing to choose.
fn require_only_replica(view: &ClusterView) -> Result<(), Failure> {
    let lens = Lens::of(view);
    let primary = lens
        .primary()
        .ok_or_else(|| said(format!("No masters found for cluster {}", lens.name)))?;
    match lens.replicas(&primary.id).len() {
        1 => Ok(()),
        replicas => Err(said(format!(
            "GracefulMasterTakeover: no target instance indicated, and {} has {replicas} direct replicas, not one; \
             name the target or use graceful-master-takeover-auto",
            primary.address,
        ))),
    }
}

fn change_primary(
    view: &ClusterView,
    to: Option<Found>,
    by: String,
    deadline: Option<Duration>,
) -> ChangePrimary {
    ChangePrimary {
        cluster: view.snapshot.cluster.id.clone(),
        to: to.map(|to| to.server),
        // orchestrator knows no such word: what would be lost has to be accepted over /api/v1.
        accept_loss: None,
        by,
        deadline,
    }
}

fn ended(context: &Context, row: RecoveryRow, message: &str) -> Result<Answer, Failure> {
    let (outcome, errors) = (row.outcome, row.errors.join("; "));
    let shown = recovery(&context.fleet, row, Told::Live);
    if outcome == RecoveryOutcome::Succeeded {
        return done(message, &shown);
    }
    let message = format!("Master takeover {}: {errors}", outcome.word());
    Err(Failure::Said {
        message,
        details: Some(json(&shown)?),
    })
}

async fn acknowledge(context: &Context, what: Acknowledged, by: String) -> Result<Answer, Failure> {
    let comment = context.asked.comment()?;
    let (ids, cluster, details) = match what {
        Acknowledged::All => (None, None, json(&comment)?),
        Acknowledged::Cluster(view) => (
            None,
            Some(view.snapshot.cluster.id.clone()),
            json(&Lens::of(&view).name)?,
        ),
        Acknowledged::Server(found) => {
            let ids = open_ones(context, &found.server).await?;
            (Some(ids), None, json(&key(&found.address))?)
        }
        Acknowledged::Uid(uid) => (Some(vec![RecoveryId::new(&uid)]), None, json(&uid)?),
        Acknowledged::Number(number) => {
            let id = find_number(context, &number).await?;
            let id = id.ok_or_else(|| said(format!("No recovery has the id {number}")))?;
            (Some(vec![id]), None, json(&number)?)
        }
    };
    let control = Arc::clone(&context.app.control);
    let count = to_the_end(async move {
        let Some(ids) = ids else {
            return control
                .acknowledge(None, cluster.as_ref(), &by, &comment)
                .await;
        };
        let mut count = 0;
        for id in ids {
            count += control.acknowledge(Some(&id), None, &by, &comment).await?;
        }
        Ok(count)
    });
    let message = format!("Acknowledged {} recoveries", count.await?);
    Ok(Answer::Done { message, details })
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
