//! An example of a policy that a site with slow networks and careful people might want: it confirms for longer, asks a person
//! before anything happens, never leaves the region, and puts the data centre above promotion rules and positions.

use std::cmp::Reverse;

use baton_policy_sdk::{
    Ask, AssessQuestion, Assessment, Candidate, Cluster, ClusterFacts, FailoverPolicy,
    PromotionRule, RankQuestion, Ranked, Ranking, Reason, Settings, Verdict, Veto, Whole,
    export_policy, reason, reason_about,
};

struct FailoverCautious {
    confirm_ms: u32,
    ask: bool,
    ask_valid_ms: u32,
}

impl FailoverPolicy for FailoverCautious {
    const NAME: &str = "failover-cautious";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &str = "Confirms for longer, asks a person, never leaves the region";

    fn configure(settings: &mut Settings) -> Self {
        Self {
            confirm_ms: settings.whole(Whole {
                name: "confirm-ms",
                default: 3_000,
                min: 0,
                max: 3_600_000,
                about: "How long a finding must have held before anything is done or asked.",
            }),
            ask: settings.flag("ask", true, "Ask a person before acting."),
            ask_valid_ms: settings.whole(Whole {
                name: "ask-valid-ms",
                default: 900_000,
                min: 1_000,
                max: u32::MAX,
                about: "How long a person's agreement counts.",
            }),
        }
    }

    fn assess(&self, question: &AssessQuestion) -> Result<Assessment, String> {
        let (verdict, why) = self.verdict(question);
        Ok(Assessment {
            verdict,
            reasons: vec![why],
            extra: None,
        })
    }

    fn rank(&self, question: &RankQuestion) -> Result<Ranking, String> {
        Ok(rank(question))
    }
}

impl FailoverCautious {
    fn verdict(&self, question: &AssessQuestion) -> (Verdict, Reason) {
        let finding = &question.finding;
        if finding.suggestion != "act" {
            let text = format!("Baton itself suggests \"{}\".", finding.suggestion);
            return match finding.suggestion.as_str() {
                "wait" => (Verdict::Wait(100), reason("host-waits", text)),
                _ => (Verdict::Hold, reason("host-holds", text)),
            };
        }
        if finding.held < self.confirm_ms {
            let text = format!(
                "{} has held for {} of {} ms.",
                finding.code, finding.held, self.confirm_ms
            );
            return (
                Verdict::Wait(self.confirm_ms - finding.held),
                reason("still-confirming", text),
            );
        }
        if !self.ask {
            return (
                Verdict::Act,
                reason(
                    "confirmed",
                    format!("{} has held for {} ms.", finding.code, finding.held),
                ),
            );
        }
        self.ask_a_person(question)
    }

    fn ask_a_person(&self, question: &AssessQuestion) -> (Verdict, Reason) {
        let finding = &question.finding;
        let server = question.cluster.server(finding.server);
        let (id, address) = server.map_or(("unknown", "a server"), |s| {
            (s.id.as_str(), s.address.as_str())
        });
        let topic = format!("{}:{id}", finding.code);
        let answer = question
            .approvals
            .iter()
            .find(|approval| approval.topic == topic);
        match answer {
            Some(approval) if approval.granted => (
                Verdict::Act,
                reason("approved", format!("{} agreed.", approval.by)),
            ),
            Some(approval) => (
                Verdict::Hold,
                reason("declined", format!("{} declined.", approval.by)),
            ),
            None => {
                let prompt = format!(
                    "{address}: {} since {} ms. Fail over?",
                    finding.code, finding.held
                );
                let ask = Ask {
                    topic,
                    prompt,
                    valid_for: self.ask_valid_ms,
                };
                (
                    Verdict::Ask(ask),
                    reason(
                        "asks-a-person",
                        "This policy acts only when a person agrees.",
                    ),
                )
            }
        }
    }
}

/// Where a candidate is, seen from the server it would replace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    SameDataCenter,
    SameRegion,
    Elsewhere,
}

fn rank(question: &RankQuestion) -> Ranking {
    let mut order = Vec::new();
    let mut vetoes = Vec::new();
    for candidate in &question.candidates {
        match refusal(question, candidate) {
            Some(why) => vetoes.push(Veto {
                server: candidate.server,
                reasons: vec![why],
            }),
            None => order.push(candidate),
        }
    }
    order.sort_by_key(|candidate| {
        (
            distance(&question.cluster, question.replaced, candidate.server),
            Reverse(eagerness(&question.cluster, candidate.server)),
            candidate.missing.unwrap_or(u32::MAX),
            question
                .cluster
                .server(candidate.server)
                .map(|server| &server.id),
        )
    });
    let last = i32::try_from(order.len()).unwrap_or(i32::MAX);
    let order = order
        .into_iter()
        .zip(0i32..)
        .map(|(candidate, place)| Ranked {
            server: candidate.server,
            score: last - place,
            reasons: vec![position(question, candidate)],
        });
    let text = "Data centre first, then promotion rule, then position; never another region.";
    Ranking {
        order: order.collect(),
        vetoes,
        reasons: vec![reason("near-first", text)],
        extra: None,
    }
}

fn refusal(question: &RankQuestion, candidate: &Candidate) -> Option<Reason> {
    let about = |code: &str, text: &str| Some(reason_about(code, text, vec![candidate.server]));
    if eagerness(&question.cluster, candidate.server) == 0 {
        return about("promotion-rule-must-not", "Its promotion rule is must-not.");
    }
    match distance(&question.cluster, question.replaced, candidate.server) {
        Distance::Elsewhere => about("other-region", "It is not known to be in the same region."),
        Distance::SameDataCenter | Distance::SameRegion => None,
    }
}

fn position(question: &RankQuestion, candidate: &Candidate) -> Reason {
    let about = vec![candidate.server];
    match distance(&question.cluster, question.replaced, candidate.server) {
        Distance::SameDataCenter => {
            reason_about("same-data-center", "It is in the same data centre.", about)
        }
        Distance::SameRegion | Distance::Elsewhere => reason_about(
            "same-region",
            "It is in the same region, in another data centre.",
            about,
        ),
    }
}

/// Unknown places are equal only to unknown places: a careful policy does not guess that a server is near.
fn distance(cluster: &Cluster, replaced: u32, candidate: u32) -> Distance {
    let place = |index| {
        cluster
            .place_of(index)
            .map(|p| (p.region.as_str(), p.data_center.as_str()))
    };
    let ((old_region, old_center), (region, center)) = (
        place(replaced).unwrap_or_default(),
        place(candidate).unwrap_or_default(),
    );
    match (region == old_region, center == old_center) {
        (true, true) => Distance::SameDataCenter,
        (true, false) => Distance::SameRegion,
        (false, _) => Distance::Elsewhere,
    }
}

fn eagerness(cluster: &Cluster, server: u32) -> u8 {
    match cluster.server(server).map(|server| server.promotion) {
        Some(PromotionRule::Must) => 4,
        Some(PromotionRule::Prefer) => 3,
        Some(PromotionRule::Neutral) => 2,
        Some(PromotionRule::PreferNot) => 1,
        Some(PromotionRule::MustNot) | None => 0,
    }
}

export_policy!(FailoverCautious);
