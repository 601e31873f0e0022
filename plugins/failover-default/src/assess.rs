//! Is this finding worth a recovery?

use baton_policy_sdk::{
    AssessQuestion, Assessment, Channel, ClusterFacts, Probe, Reach, Reason, Recovery, Server,
    ThreadState, Verdict, reason, reason_about,
};

use crate::settings::DefaultSettings;

/// Pause before the question is asked again when new facts, not time, are missing. New facts make the host ask at once anyway.
const RECHECK_MS: u32 = 50;

/// Failures that the operating system of the server itself reports: nothing listens there any more.
const PROOF_WORDS: &[&str] = &["refused", "reset"];

/// Kinds of recovery after which a cluster needs no rest: they do not change who the primary is.
const HARMLESS_RECOVERIES: &[&str] = &["rejoin", "reopen"];

/// Something that speaks against acting now.
enum Objection {
    Wait(u32, Reason),
    Hold(Reason),
}

/// Objections gathered so far, and the evidence that raised none.
#[derive(Default)]
struct Findings {
    hold: bool,
    wait_ms: u32,
    against: Vec<Reason>,
    evidence: Vec<Reason>,
}

impl Findings {
    fn object(&mut self, objection: Option<Objection>) {
        match objection {
            None => {}
            Some(Objection::Hold(why)) => {
                self.hold = true;
                self.against.push(why);
            }
            Some(Objection::Wait(ms, why)) => {
                self.wait_ms = self.wait_ms.max(ms.max(1));
                self.against.push(why);
            }
        }
    }

    fn into_assessment(self) -> Assessment {
        let (verdict, reasons) = match (self.hold, self.wait_ms) {
            (true, _) => (Verdict::Hold, self.against),
            (false, 0) => (Verdict::Act, self.evidence),
            (false, ms) => (Verdict::Wait(ms), self.against),
        };
        Assessment {
            verdict,
            reasons,
            extra: None,
        }
    }
}

pub(crate) fn assess(
    settings: &DefaultSettings,
    question: &AssessQuestion,
) -> Result<Assessment, String> {
    let index = question.finding.server;
    let server = question.cluster.server(index).ok_or_else(|| {
        format!("the finding is about server {index}, which is not in the question")
    })?;
    let mut findings = Findings::default();
    findings.object(host_suggestion(question));
    findings.object(handled_by_people(server, index));
    let code = question.finding.code.as_str();
    findings.object(cooldown(
        settings,
        code,
        &server.id,
        &question.cluster.recoveries,
    ));
    findings.object(mass_failure(settings, question));
    match server.probe.state {
        Reach::Answering => answers_but(settings, question, &mut findings),
        Reach::Silent | Reach::Partial | Reach::NotProbed => {
            does_not_answer(settings, question, &server.probe, &mut findings);
        }
    }
    Ok(findings.into_assessment())
}

fn host_suggestion(question: &AssessQuestion) -> Option<Objection> {
    match question.finding.suggestion.as_str() {
        "act" => None,
        "wait" => Some(Objection::Wait(
            RECHECK_MS,
            reason(
                "host-waits",
                "Baton's own analysis is not ready to act on this finding.",
            ),
        )),
        "hold" => Some(Objection::Hold(reason(
            "host-holds",
            "Baton's own analysis says that this finding must not be acted on.",
        ))),
        other => Some(Objection::Hold(reason(
            "host-suggestion-unknown",
            format!("Baton suggests \"{other}\", which this policy does not know."),
        ))),
    }
}

fn handled_by_people(server: &Server, index: u32) -> Option<Objection> {
    if server.maintenance {
        let text = format!(
            "{} is being worked on by a person or another plan.",
            server.address
        );
        return Some(Objection::Hold(reason_about(
            "in-maintenance",
            text,
            vec![index],
        )));
    }
    let downtime = server.downtime.as_ref()?;
    let text = format!(
        "{} is in downtime by {}: {}",
        server.address, downtime.owner, downtime.reason
    );
    Some(Objection::Hold(reason_about(
        "in-downtime",
        text,
        vec![index],
    )))
}

/// A cooldown keeps a cluster from going to and fro between servers that flap; it must not leave one without a primary because
/// another server failed than the one that was replaced. So a server is not replaced twice within it, and not more than a few
/// servers are. A recovery of an intermediate source is another matter; one that failed or was undone counts for nothing.
fn cooldown(
    settings: &DefaultSettings,
    finding: &str,
    server: &str,
    recoveries: &[Recovery],
) -> Option<Objection> {
    let about_intermediate = finding.starts_with("intermediate");
    let age = |recovery: &Recovery| recovery.ended_age.unwrap_or(recovery.started_age);
    let recent: Vec<&Recovery> = recoveries
        .iter()
        .filter(|recovery| {
            recovery.automatic
                && !recovery.acknowledged
                && matches!(recovery.outcome.as_str(), "succeeded" | "running")
                && about_intermediate == recovery.kind.starts_with("intermediate")
                && !HARMLESS_RECOVERIES.contains(&recovery.kind.as_str())
                && age(recovery) < settings.cooldown_ms
        })
        .collect();
    let same = recent.iter().find(|recovery| recovery.from_server == server);
    let count = u32::try_from(recent.len()).unwrap_or(u32::MAX);
    let text = match (same, recent.first()) {
        (Some(recent), _) => format!(
            "An automatic {} ({}) replaced this very server {} s ago",
            recent.kind,
            recent.outcome,
            age(recent) / 1000
        ),
        (None, Some(recent)) if count >= settings.cooldown_failovers => format!(
            "{count} automatic recoveries of this cluster, the last one a {} ({}) {} s ago, are as many as cooldown-failovers allows",
            recent.kind,
            recent.outcome,
            age(recent) / 1000
        ),
        (None, _) => return None,
    };
    let limit = settings.cooldown_ms / 1000;
    Some(Objection::Hold(reason(
        "cooldown",
        format!("{text}: younger than the cooldown of {limit} s, and nobody has acknowledged it."),
    )))
}

fn mass_failure(settings: &DefaultSettings, question: &AssessQuestion) -> Option<Objection> {
    let elsewhere = question.finding.elsewhere;
    let clusters = question.finding.clusters.max(1);
    let affected = u64::from(elsewhere) + 1;
    let percent = affected * 100 / u64::from(clusters);
    if elsewhere < settings.mass_failure_count || percent < settings.mass_failure_percent.into() {
        return None;
    }
    Some(Objection::Hold(reason(
        "mass-failure",
        format!(
            "{affected} of {clusters} clusters ({percent} %) show {} at once: this node's own network is the likelier cause.",
            question.finding.code
        ),
    )))
}

/// The server answers, so the finding is about what it does: it must have held for a while.
fn answers_but(settings: &DefaultSettings, question: &AssessQuestion, findings: &mut Findings) {
    let finding = &question.finding;
    if finding.held < settings.silence_ms {
        let text = format!(
            "{} has held for {} ms of {} ms.",
            finding.code, finding.held, settings.silence_ms
        );
        let left = settings.silence_ms - finding.held;
        findings.object(Some(Objection::Wait(
            left,
            reason_about("not-held-long-enough", text, vec![finding.server]),
        )));
    } else {
        let text = format!("{} has held for {} ms.", finding.code, finding.held);
        findings
            .evidence
            .push(reason_about("held-long-enough", text, vec![finding.server]));
    }
}

fn does_not_answer(
    settings: &DefaultSettings,
    question: &AssessQuestion,
    probe: &Probe,
    findings: &mut Findings,
) {
    let witnesses = Witnesses::of(question);
    let gone = probe.state == Reach::Silent
        && probe
            .failure
            .as_deref()
            .is_some_and(|failure| PROOF_WORDS.contains(&failure));
    let proven = gone && witnesses.connected.is_empty() && !witnesses.lost.is_empty();
    confirmations(settings, question, probe, proven, findings);
    if gone && !witnesses.connected.is_empty() {
        let text = format!(
            "{} is unreachable from here, but {} of {} replicas that answer are still connected to it.",
            address(question, question.finding.server),
            witnesses.connected.len(),
            witnesses.connected.len() + witnesses.lost.len()
        );
        findings.object(Some(Objection::Wait(
            RECHECK_MS,
            reason_about("replica-still-connected", text, witnesses.connected.clone()),
        )));
    }
    if proven {
        let text = format!(
            "{} replicas that answer have lost it too.",
            witnesses.lost.len()
        );
        findings
            .evidence
            .push(reason_about("replicas-agree", text, witnesses.lost));
    } else {
        silence(settings, question, probe, &witnesses, findings);
    }
}

fn confirmations(
    settings: &DefaultSettings,
    question: &AssessQuestion,
    probe: &Probe,
    proven: bool,
    findings: &mut Findings,
) {
    let needed = settings.confirmations.unwrap_or(if proven { 1 } else { 2 });
    let about = vec![question.finding.server];
    let failure = probe.failure.as_deref().unwrap_or("no answer");
    if probe.failures < needed {
        let text = format!(
            "{} of {needed} probes failed so far ({failure}).",
            probe.failures
        );
        findings.object(Some(Objection::Wait(
            RECHECK_MS,
            reason_about("too-few-confirmations", text, about),
        )));
    } else {
        let text = format!(
            "{} probes failed, {needed} are needed ({failure}).",
            probe.failures
        );
        findings
            .evidence
            .push(reason_about("confirmed", text, about));
    }
}

/// No proof that the process is gone: it must have been silent long enough, to us and to its replicas.
fn silence(
    settings: &DefaultSettings,
    question: &AssessQuestion,
    probe: &Probe,
    witnesses: &Witnesses,
    findings: &mut Findings,
) {
    let server = question.finding.server;
    // A server that never answered has no such age; then the finding's own age is all there is.
    let silent = probe.answered_age.unwrap_or(question.finding.held);
    if silent < settings.silence_ms {
        let text = format!("Silent for {silent} ms of {} ms.", settings.silence_ms);
        findings.object(Some(Objection::Wait(
            settings.silence_ms - silent,
            reason_about("not-silent-long-enough", text, vec![server]),
        )));
    } else {
        let text = format!("Silent for {silent} ms.");
        findings
            .evidence
            .push(reason_about("silent-long-enough", text, vec![server]));
    }
    if let Some((replica, age)) = witnesses
        .youngest_sign
        .filter(|(_, age)| *age < settings.silence_ms)
    {
        let text = format!(
            "{} received something from it {age} ms ago: it is alive.",
            address(question, replica)
        );
        findings.object(Some(Objection::Wait(
            (settings.silence_ms - age).max(RECHECK_MS),
            reason_about("replica-still-receives", text, vec![replica]),
        )));
    }
    if witnesses.lost.is_empty() && witnesses.connected.is_empty() {
        findings.evidence.push(reason(
            "no-replica-testifies",
            "No replica has been read since the loss.",
        ));
    }
}

/// Replicas of the server whose state was read after the loss; older readings prove nothing.
struct Witnesses {
    connected: Vec<u32>,
    lost: Vec<u32>,
    /// Connected replica with the youngest heartbeat or event, and its age.
    youngest_sign: Option<(u32, u32)>,
}

impl Witnesses {
    fn of(question: &AssessQuestion) -> Self {
        let mut witnesses = Self {
            connected: Vec::new(),
            lost: Vec::new(),
            youngest_sign: None,
        };
        let cluster = &question.cluster;
        let answers = |channel: &&Channel| {
            channel.read_after_loss
                && cluster
                    .server(channel.replica)
                    .is_some_and(|s| s.probe.state == Reach::Answering)
        };
        for channel in cluster
            .channels_from(question.finding.server)
            .filter(answers)
        {
            match channel.receiver {
                ThreadState::Running => witnesses.still_connected(channel),
                ThreadState::Connecting => witnesses.lost.push(channel.replica),
                // A receiver that stopped for a reason of its own would not notice a loss.
                ThreadState::Stopped if is_network_error(channel.receiver_error) => {
                    witnesses.lost.push(channel.replica);
                }
                ThreadState::Stopped | ThreadState::Unknown => {}
            }
        }
        witnesses
    }

    fn still_connected(&mut self, channel: &Channel) {
        self.connected.push(channel.replica);
        // What a replica received before it lost the connection is no sign of life.
        let sign = channel.received_age.map(|age| (channel.replica, age));
        let both = [self.youngest_sign, sign].into_iter().flatten();
        self.youngest_sign = both.min_by_key(|(_, age)| *age);
    }
}

/// Error numbers of receivers that lost their source or cannot connect to it: of the network layer, of the client library, and
/// "server shutdown".
fn is_network_error(number: u32) -> bool {
    matches!(number, 1053 | 1158..=1161 | 2000..=2999)
}

fn address(question: &AssessQuestion, index: u32) -> &str {
    question
        .cluster
        .server(index)
        .map_or("a server", |server| server.address.as_str())
}
