//! Every cluster of up to three servers in every state, and random larger ones.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::{RULES, apply};
use super::*;
use crate::model::{
    Bounds, Channel, Closed, Reach, RecoveryKind, Server, Snapshot, ThreadState, Topology,
};
use crate::policy::Suggestion;

/// A server for each line that can be said about `name`.
fn variants(name: &str, lines: &[String]) -> Vec<Server> {
    let parse = |line: &String| sketch::snapshot(&format!("{name} {line}"));
    let mut servers: Vec<Server> = lines
        .iter()
        .flat_map(|line| parse(line).servers.into_values())
        .collect();
    servers.dedup();
    servers
}

fn primaries() -> Vec<Server> {
    let mut lines = vec!["unprobed".to_owned()];
    for reach in [
        "",
        "too-many-connections",
        "silent refused",
        "silent timeout",
    ] {
        for writes in ["rw", "ro", "ro restarted"] {
            for channel in ["", "<- r1", "<- r1 io=connecting"] {
                lines.push(format!("{reach} {writes} {channel}"));
            }
        }
    }
    variants("p1", &lines)
}

fn replicas(name: &str, sibling: &str) -> Vec<Option<Server>> {
    let mut channels = vec![String::new()];
    for receiver in [
        "",
        "heartbeat=1s",
        "reconnected=900ms",
        "io=connecting",
        "io=connecting:0 reconnected=900ms",
        "io=connecting:1045",
        "io=stopped sql=stopped",
    ] {
        channels.push(format!("<- p1 {receiver}"));
    }
    channels.push(format!("<- {sibling}"));
    channels.push(format!("<- {sibling} io=connecting"));
    let mut lines = vec!["unprobed".to_owned(), "unread silent".to_owned()];
    for state in ["", "rw"] {
        lines.extend(channels.iter().map(|channel| format!("{state} {channel}")));
    }
    for state in ["read=3s", "silent", "partial"] {
        let usual = ["", "<- p1", "<- p1 io=connecting", &format!("<- {sibling}")];
        lines.extend(usual.iter().map(|channel| format!("{state} {channel}")));
    }
    variants(name, &lines)
        .into_iter()
        .map(Some)
        .chain([None])
        .collect()
}

/// Some of them have a record that `r1` was replaced by `p1`.
fn world(servers: [Option<&Server>; 3], recorded: bool) -> Snapshot {
    let mut snapshot = sketch::snapshot(if recorded {
        "cluster past=failover:succeeded:r1:p1:1m\np1 primary\nr1\nr2"
    } else {
        "p1 primary\nr1\nr2"
    });
    snapshot.servers = servers
        .into_iter()
        .flatten()
        .map(|server| (server.id.clone(), server.clone()))
        .collect();
    snapshot
}

/// What must hold of each report.
fn check(snapshot: &Snapshot, report: &Report) {
    assert_explained(report);
    let order: Vec<_> = report
        .findings
        .iter()
        .map(|f| (std::cmp::Reverse(f.severity), f.code, f.server.clone()))
        .collect();
    assert!(order.is_sorted(), "findings are not in order");
    for server in snapshot.servers.values() {
        silence_is_explained_once(server, report);
    }
    for finding in report
        .findings
        .iter()
        .filter(|f| f.suggestion == Suggestion::Act)
    {
        acting_is_safe(snapshot, report, finding);
    }
    for probe in &report.probes {
        probe_makes_sense(snapshot, probe);
    }
}

/// Rules do not depend on each other.
fn check_order(snapshot: &Snapshot, report: &Report) {
    let backwards = apply(
        snapshot,
        &AnalysisSettings::default(),
        RULES.iter().copied().flatten().rev(),
    );
    assert_eq!(*report, backwards, "the order of the rules matters");
}

/// A server that does not answer is spoken about once as such, and no other is.
fn silence_is_explained_once(server: &Server, report: &Report) {
    let about = report.findings.iter().filter(|f| f.server == server.id);
    let called_silent = about
        .filter(|finding| finding.code.explains_silence())
        .count();
    let expected = usize::from(server.probe.reach() == Reach::Silent);
    assert_eq!(called_silent, expected, "{} is called silent", server.id);
}

fn acting_is_safe(snapshot: &Snapshot, report: &Report, finding: &Finding) {
    let subject = &snapshot.servers[&finding.server];
    let primary = report.primary.server().map(|id| &snapshot.servers[id]);
    match finding.recovery.expect("acting without a recovery") {
        RecoveryKind::Failover | RecoveryKind::CoPrimaryFailover => {
            assert_eq!(primary.map(|p| &p.id), Some(&subject.id));
            match finding.code {
                Code::PrimaryUseless => {}
                Code::PrimaryReplicasCannotConnect => nobody_can_commit(snapshot, subject),
                _ => nobody_objects(snapshot, subject),
            }
            nobody_was_promoted(snapshot, subject);
        }
        RecoveryKind::IntermediateFailover => {
            let primary = primary.expect("no primary for its replicas");
            assert_eq!(primary.probe.reach(), Reach::Answering);
            if finding.code != Code::IntermediateReplicasCannotConnect {
                nobody_objects(snapshot, subject);
            }
        }
        RecoveryKind::Rejoin => {
            let primary = primary.expect("no primary to rejoin");
            assert_ne!(primary.id, subject.id);
            if snapshot.replacement_of(&subject.id).is_some() {
                return;
            }
            assert_eq!(primary.probe.reach(), Reach::Answering);
            assert!(primary.last_facts().unwrap().is_writable());
            let followers = |source| {
                let follows = |(replica, channel): &(&Server, &Channel)| {
                    let tries = [ThreadState::Running, ThreadState::Connecting];
                    replica.answers() && tries.contains(&channel.receiver)
                };
                channels_to(snapshot, source).filter(follows).count()
            };
            let (of_it, of_primary) = (followers(subject), followers(primary));
            assert!(
                of_it == 0 || of_it < of_primary,
                "{of_it} against {of_primary}"
            );
        }
        RecoveryKind::Switchover => panic!("no finding asks for a switchover"),
        RecoveryKind::Reopen => {
            assert_eq!(snapshot.cluster.primary.as_ref(), Some(&subject.id));
            assert_eq!(subject.closed, Closed::ByRestart);
            let answering = |server: &&Server| server.answers();
            let members = snapshot.servers.values().filter(answering);
            let mut facts = members.filter_map(Server::last_facts);
            assert!(facts.all(|facts| facts.read_only), "somebody takes writes");
        }
    }
}

/// The source answers, its commits wait without an end, and none of its replicas is known to
/// receive from it.
fn nobody_can_commit(snapshot: &Snapshot, source: &Server) {
    assert_eq!(source.probe.reach(), Reach::Answering);
    let semi_sync = source
        .last_facts()
        .and_then(|facts| facts.semi_sync.as_ref());
    assert!(semi_sync.unwrap().has_waiting_sessions());
    let since = source.commits_wait_since.unwrap();
    for (replica, channel) in channels_to(snapshot, source) {
        let answers = replica.answers();
        let heard = replica.heard_on(&channel.name).is_some_and(|at| at > since);
        let in_vain = replica.reconnect_failed_on(&channel.name).is_some();
        let receives = channel.receiver == ThreadState::Running && heard && !in_vain;
        assert!(!(answers && receives), "{} receives from it", replica.id);
    }
}

/// The source is silent, somebody who answers misses it, and nobody has seen it alive or is still
/// to be heard.
fn nobody_objects(snapshot: &Snapshot, source: &Server) {
    assert_eq!(source.probe.reach(), Reach::Silent);
    let lost_at = source.probe.failing_since.unwrap();
    let mut lost_it = 0;
    for (replica, channel) in channels_to(snapshot, source) {
        if !replica.answers() {
            continue;
        }
        lost_it += 1;
        assert!(
            replica.facts_after(lost_at).is_some(),
            "{} was not read",
            replica.id
        );
        let heard = replica
            .heard_on(&channel.name)
            .is_some_and(|at| at > lost_at);
        let accepted = replica
            .reconnected_on(&channel.name)
            .is_some_and(|at| at > lost_at);
        let connected = channel.receiver == ThreadState::Running;
        assert!(
            !(connected && (heard || accepted)),
            "{} saw it alive",
            replica.id
        );
    }
    assert!(lost_it > 0, "nobody misses it");
    let unprobed = snapshot
        .servers
        .values()
        .any(|s| s.probe.reach() == Reach::NotProbed);
    assert!(!unprobed, "a member was never probed");
}

/// No other server of the cluster takes writes on its own: promoting one more would split it. The
/// other sources of a replica that clusters share are none of it.
fn nobody_was_promoted(snapshot: &Snapshot, primary: &Server) {
    let topology = Topology::of(snapshot);
    let bounds = Bounds::around(snapshot, &topology, Some(&primary.id));
    for server in snapshot
        .servers
        .values()
        .filter(|server| server.id != primary.id && !bounds.is_apart(&server.id))
    {
        let answers = server.answers();
        let Some(facts) = server.last_facts().filter(|_| answers) else {
            continue;
        };
        let source =
            |channel: &Channel| channel.source.as_ref().and_then(|a| snapshot.server_at(a));
        let replicates = facts
            .channels
            .iter()
            .filter_map(source)
            .any(|s| s.id != server.id);
        assert!(
            !facts.is_writable() || replicates,
            "{} takes writes already",
            server.id
        );
    }
}

fn channels_to<'s>(
    snapshot: &'s Snapshot,
    source: &'s Server,
) -> impl Iterator<Item = (&'s Server, &'s Channel)> {
    let replicas = snapshot
        .servers
        .values()
        .filter(|replica| replica.id != source.id);
    let channels = replicas.flat_map(|replica| {
        let facts = replica.last_facts().into_iter();
        facts
            .flat_map(|facts| &facts.channels)
            .map(move |channel| (replica, channel))
    });
    channels.filter(|(_, channel)| channel.source.as_ref() == Some(&source.address))
}

fn probe_makes_sense(snapshot: &Snapshot, probe: &ProbeRequest) {
    match probe {
        ProbeRequest::ReadNow { servers } => {
            assert!(!servers.is_empty());
            for id in servers {
                let reach = snapshot.servers[id].probe.reach();
                assert!(
                    matches!(reach, Reach::Answering | Reach::NotProbed),
                    "{id} is read"
                );
            }
        }
        ProbeRequest::ReconnectReceiver {
            server,
            channel,
            source,
        } => {
            let replica = &snapshot.servers[server];
            assert_eq!(replica.probe.reach(), Reach::Answering);
            let mut found = channels_to(snapshot, &snapshot.servers[source]);
            assert!(found.any(|(id, c)| id.id == *server && c.name == *channel));
        }
    }
}

#[test]
fn all_clusters_of_up_to_three_servers() {
    let (primaries, first, second) = (primaries(), replicas("r1", "r2"), replicas("r2", "r1"));
    let mut seen: BTreeMap<(Code, Suggestion), u32> = BTreeMap::new();
    let mut worlds = 0_u32;
    for primary in &primaries {
        for r1 in &first {
            for r2 in &second {
                let recorded = worlds.is_multiple_of(3);
                let snapshot = world([Some(primary), r1.as_ref(), r2.as_ref()], recorded);
                let report = analyze(&snapshot, &AnalysisSettings::default());
                check(&snapshot, &report);
                if worlds.is_multiple_of(7) {
                    check_order(&snapshot, &report);
                }
                worlds += 1;
                for finding in report.findings {
                    *seen.entry((finding.code, finding.suggestion)).or_default() += 1;
                }
            }
        }
    }
    assert!(worlds > 20_000, "only {worlds} worlds");
    // The invariants were put to the test only if these came up.
    for wanted in [
        (Code::PrimaryDead, Suggestion::Act),
        (Code::PrimaryAndSomeReplicasDead, Suggestion::Act),
        (Code::PrimaryHung, Suggestion::Act),
        (Code::PrimarySilent, Suggestion::Wait),
        (Code::PrimarySilent, Suggestion::Hold),
        (Code::PrimaryUnreachable, Suggestion::Hold),
        (Code::CoPrimaryDead, Suggestion::Act),
        (
            Code::IntermediateDeadSingleReplicaCannotConnect,
            Suggestion::Act,
        ),
        (Code::OldPrimaryReturned, Suggestion::Act),
        (Code::OldPrimaryReturned, Suggestion::Hold),
        (Code::SomebodyPromotes, Suggestion::Hold),
        (Code::ServerDetached, Suggestion::Hold),
        (Code::NoWritablePrimary, Suggestion::Act),
        (Code::NoWritablePrimary, Suggestion::Hold),
        (Code::PrimaryMoved, Suggestion::Hold),
        (Code::SplitBrain, Suggestion::Hold),
    ] {
        assert!(
            seen.contains_key(&wanted),
            "{wanted:?} never came up: {seen:?}"
        );
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "outside"];

fn channel_text() -> impl Strategy<Value = String> {
    let receiver = prop::sample::select(vec![
        "",
        "heartbeat=1s",
        "heartbeat=5s lag=2m",
        "reconnected=900ms",
        "reconnected=100ms io=connecting:0",
        "reconnected=900ms io=connecting:0",
        "io=connecting",
        "io=connecting:1045 nogtid",
        "io=stopped",
        "io=stopped:2003",
        "io=unknown",
        "sql=stopped:1062",
    ]);
    (0..NAMES.len(), 0..3_u8, receiver)
        .prop_map(|(source, name, words)| format!("<- {}@ch{name} {words}", NAMES[source]))
}

fn server_text() -> impl Strategy<Value = String> {
    let state = prop::sample::select(vec![
        "",
        "rw",
        "rw ss=locked progressed=1m",
        "commit=refused:1021 rw",
        "commit=stalled:1m rw connections=5/5",
        "read=3s",
        "unprobed",
        "unread silent",
        "silent refused",
        "silent refused 101ms",
        "silent timeout",
        "silent dns rw",
        "partial",
        "too-many-connections",
        "quarantined",
        "downtime silent",
        "errant=3 mariadb noupdates",
    ]);
    (state, prop::collection::vec(channel_text(), 0..3))
        .prop_map(|(state, channels)| format!("{state} {}", channels.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_cluster_has_a_safe_report(
        servers in prop::collection::vec(server_text(), 0..5),
        recorded in 0..6_usize,
    ) {
        let lines: Vec<String> = servers
            .iter()
            .enumerate()
            .map(|(i, words)| {
                let primary = if i == recorded { "primary" } else { "" };
                format!("{} {primary} {words}", NAMES[i])
            })
            .collect();
        let snapshot = sketch::snapshot(&lines.join("\n"));
        let report = analyze(&snapshot, &AnalysisSettings::default());
        prop_assert_eq!(&report, &analyze(&snapshot, &AnalysisSettings::default()));
        let about: BTreeSet<&ServerId> = report.findings.iter().map(|f| &f.server).collect();
        prop_assert!(about.iter().all(|id| snapshot.servers.contains_key(*id)));
        check(&snapshot, &report);
        check_order(&snapshot, &report);
    }
}
