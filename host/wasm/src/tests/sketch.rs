//! Clusters as text: a case of a policy's table is a sketch in and a line out.
//!
//! ```text
//! p1 silent fail=refused failures=1 answered=300 dc=a region=eu
//! r1 <- p1 connecting missing=0 dc=a region=eu promotion=prefer
//! finding primary-dead held=40 suggest=act
//! recovery failover age=1000 auto
//! ```
//!
//! The first server is the one the finding is about and the one to be replaced; the others are
//! candidates, in the sketch's order.

use baton_core::model::{Flavor, LogFormat, PromotionRule, ThreadState};
use baton_core::policy::{
    Approval, AssessQuestion, Candidate, DowntimeView, PlaceView, RankQuestion, Reach, Reason,
    RecoveryView, Role, ServerView, Suggestion, Verdict,
};
use baton_ports::Policies;

use super::fixture::{behind_the_port, block_on};
use crate::policy::Policy;
use crate::self_check;

/// The words of one line: bare ones, and those with a value.
struct Line<'a>(Vec<&'a str>);

impl<'a> Line<'a> {
    fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str) -> Option<u32> {
        self.value(key).map(|text| text.parse().expect(text))
    }
}

/// Verdict and codes of the reasons: `wait 500: not-silent-long-enough`.
pub(super) fn verdict_of(policy: Policy, sketch: &str) -> String {
    let reply = block_on(behind_the_port(policy).assess(&assess_question(sketch)));
    assert_eq!(reply.fallback, None);
    let verdict = match reply.answer.verdict {
        Verdict::Act => "act".to_owned(),
        Verdict::Wait(time) => format!("wait {time}"),
        Verdict::Hold => "hold".to_owned(),
        Verdict::Ask { topic, .. } => format!("ask {topic}"),
    };
    format!("{verdict}: {}", codes(&reply.answer.reasons))
}

/// Order and vetoes: `r2 > r1(less-advanced), not r3(lagging)`.
pub(super) fn ranking_of(policy: Policy, sketch: &str) -> String {
    let question = rank_question(sketch);
    let reply = block_on(behind_the_port(policy).rank(&question));
    assert_eq!(reply.fallback, None);
    let name = |index: u32| question.cluster.servers[index as usize].id.clone();
    let order = reply
        .answer
        .order
        .iter()
        .zip(0..)
        .map(|(ranked, place)| match place {
            0 => name(ranked.server),
            _ => format!("{}({})", name(ranked.server), codes(&ranked.reasons)),
        });
    let mut parts = vec![order.collect::<Vec<_>>().join(" > ")];
    parts.retain(|part| !part.is_empty());
    for veto in &reply.answer.vetoes {
        parts.push(format!(
            "not {}({})",
            name(veto.server),
            codes(&veto.reasons)
        ));
    }
    parts.join(", ")
}

/// Codes of the reasons given for the first of the order.
pub(super) fn strengths_of(policy: Policy, sketch: &str) -> String {
    let reply = block_on(behind_the_port(policy).rank(&rank_question(sketch)));
    codes(&reply.answer.order.first().expect("somebody").reasons)
}

fn codes(reasons: &[Reason]) -> String {
    reasons
        .iter()
        .map(|reason| reason.code.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn lines(sketch: &str) -> Vec<Line<'_>> {
    let lines = sketch
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines
        .map(|line| Line(line.split_whitespace().collect()))
        .collect()
}

pub(super) fn assess_question(sketch: &str) -> AssessQuestion {
    let mut question = self_check::assess_question();
    question.context.decision = "test".into();
    fill(&mut question.cluster, sketch);
    for line in lines(sketch) {
        match line.0[0] {
            "finding" => {
                let finding = &mut question.finding;
                line.0[1].clone_into(&mut finding.code);
                finding.held = line.number("held").unwrap_or(finding.held);
                finding.elsewhere = line.number("elsewhere").unwrap_or(0);
                finding.clusters = line.number("clusters").unwrap_or(1);
                finding.suggestion = match line.value("suggest").unwrap_or("act") {
                    "act" => Suggestion::Act,
                    "wait" => Suggestion::Wait,
                    _ => Suggestion::Hold,
                };
            }
            "approval" => question.approvals.push(Approval {
                topic: line.0[1].to_owned(),
                granted: line.has("granted"),
                by: "ann".into(),
                age: 10,
                expires_in: 1000,
            }),
            _ => {}
        }
    }
    question
}

fn rank_question(sketch: &str) -> RankQuestion {
    let mut question = self_check::rank_question();
    question.context.decision = "test".into();
    fill(&mut question.cluster, sketch);
    question.candidates.clear();
    let servers = lines(sketch)
        .into_iter()
        .filter(|line| is_server(line))
        .collect::<Vec<_>>();
    for (line, server) in servers.iter().zip(0u32..).skip(1) {
        if line.has("requested") {
            question.requested = Some(server);
        }
        question.candidates.push(Candidate {
            server,
            missing: if line.has("missing=?") {
                None
            } else {
                line.number("missing").or(Some(0))
            },
            unapplied: Some(0),
            errant: if line.has("errant=?") {
                None
            } else {
                line.number("errant").or(Some(0))
            },
            followers: line.number("followers").unwrap_or(1),
            warnings: Vec::new(),
        });
    }
    question
}

fn is_server(line: &Line<'_>) -> bool {
    !["finding", "recovery", "approval"].contains(&line.0[0])
}

fn fill(cluster: &mut baton_core::policy::Cluster, sketch: &str) {
    let template = cluster.servers.clone();
    cluster.servers.clear();
    cluster.places.clear();
    for line in lines(sketch) {
        match line.0[0] {
            "recovery" => cluster.recoveries.push(recovery(&line)),
            _ if is_server(&line) => {
                let base = if cluster.servers.is_empty() {
                    &template[0]
                } else {
                    &template[1]
                };
                let mut server = server(&line, base.clone());
                if let Some(place) = place(&line) {
                    server.place = Some(u32::try_from(cluster.places.len()).expect("few"));
                    cluster.places.push(place);
                }
                cluster.servers.push(server);
            }
            _ => {}
        }
    }
}

fn place(line: &Line<'_>) -> Option<PlaceView> {
    let text = |key| line.value(key).unwrap_or_default().to_owned();
    let known = line.value("dc").or(line.value("region")).is_some();
    known.then(|| PlaceView {
        data_center: text("dc"),
        region: text("region"),
        environment: String::new(),
    })
}

fn recovery(line: &Line<'_>) -> RecoveryView {
    RecoveryView {
        kind: line.0[1].to_owned(),
        outcome: line.value("outcome").unwrap_or("succeeded").to_owned(),
        started_age: line.number("age").unwrap_or(0),
        ended_age: line.number("age"),
        from_server: line.value("from").unwrap_or("p1").into(),
        to_server: line.value("to").unwrap_or("r1").into(),
        acknowledged: line.has("acknowledged"),
        automatic: line.has("auto"),
    }
}

fn server(line: &Line<'_>, mut server: ServerView) -> ServerView {
    line.0[0].clone_into(&mut server.id);
    server.address = format!("{}:3306", server.id);
    server.place = None;
    let probe = &mut server.probe;
    probe.state = match () {
        () if line.has("silent") => Reach::Silent,
        () if line.has("partial") => Reach::Partial,
        () if line.has("answering") => Reach::Answering,
        () => probe.state,
    };
    probe.failure = line
        .value("fail")
        .map(str::to_owned)
        .or(probe.failure.take());
    probe.failures = line.number("failures").unwrap_or(probe.failures);
    probe.answered_age = line.number("answered").or(probe.answered_age);
    for channel in &mut server.channels {
        channel.receiver = match () {
            () if line.has("running") => ThreadState::Running,
            () if line.has("stopped") => ThreadState::Stopped,
            () => ThreadState::Connecting,
        };
        channel.read_after_loss = !line.has("stale");
        channel.received_age = line.number("received").or(channel.received_age);
        channel.lag = line.number("lag").or(channel.lag);
        channel.delay = line.number("delay").unwrap_or(0);
        channel.filtered = line.has("filtered");
    }
    server.promotion = match line.value("promotion") {
        Some("must") => PromotionRule::Must,
        Some("prefer") => PromotionRule::Prefer,
        Some("prefer-not") => PromotionRule::PreferNot,
        Some("must-not") => PromotionRule::MustNot,
        _ => PromotionRule::Neutral,
    };
    if let Some((major, minor)) = line.value("version").and_then(|text| text.split_once('.')) {
        server.version = (
            major.parse().expect("major"),
            minor.parse().expect("minor"),
            0,
        );
    }
    if line.has("mysql") {
        server.flavour = Flavor::Mysql;
    }
    server.log_format = match line.value("format") {
        Some("mixed") => Some(LogFormat::Mixed),
        Some("statement") => Some(LogFormat::Statement),
        Some("unknown") => None,
        _ => Some(LogFormat::Row),
    };
    if line.has("no-log-updates") {
        server.log_updates = Some(false);
    }
    if line.has("log-updates-unknown") {
        server.log_updates = None;
    }
    if line.has("intermediate") {
        server.role = Role::Intermediate;
    }
    server.maintenance = line.has("maintenance");
    server.downtime = line.has("downtime").then(|| DowntimeView {
        reason: "disk".into(),
        owner: "ann".into(),
        remaining: None,
    });
    server
}
