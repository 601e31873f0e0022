//! A plain policy for simulations: acts when the host would, ranks by promotion rule and progress.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::policy::{
    AssessQuestion, Assessment, RankQuestion, Ranked, Ranking, Suggestion, Verdict,
};
use baton_ports::{Policies, PolicyReply};

/// The policy.
#[derive(Debug)]
pub(crate) struct SimPolicies;

fn reply<A>(answer: A) -> PolicyReply<A> {
    PolicyReply {
        answer,
        policy: "sim@0".to_owned(),
        fallback: None,
        took: Duration::from_micros(50),
        log: Vec::new(),
    }
}

#[async_trait]
impl Policies for SimPolicies {
    async fn assess(&self, question: &AssessQuestion) -> PolicyReply<Assessment> {
        let verdict = match question.finding.suggestion {
            Suggestion::Act => Verdict::Act,
            Suggestion::Wait => Verdict::Wait(50),
            Suggestion::Hold => Verdict::Hold,
        };
        reply(Assessment {
            verdict,
            reasons: Vec::new(),
        })
    }

    async fn rank(&self, question: &RankQuestion) -> PolicyReply<Ranking> {
        let mut order: Vec<_> = question.candidates.iter().collect();
        order.sort_by_key(|candidate| {
            let index = usize::try_from(candidate.server).unwrap_or(usize::MAX);
            let rule = question
                .cluster
                .servers
                .get(index)
                .map(|server| server.promotion);
            (rule, candidate.missing, candidate.server)
        });
        let order = order
            .into_iter()
            .map(|candidate| Ranked {
                server: candidate.server,
                score: 0,
                reasons: Vec::new(),
            })
            .collect();
        reply(Ranking {
            order,
            vetoes: Vec::new(),
            reasons: Vec::new(),
        })
    }

    fn describe(&self) -> String {
        "sim@0".to_owned()
    }
}
