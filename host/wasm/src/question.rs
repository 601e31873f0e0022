//! The questions, seen by what they have in common.

use baton_core::model::PromotionRule;
use baton_core::policy::backend::{SelectQuestion, Selection, check_selection, first_ready};
use baton_core::policy::{
    AssessQuestion, Assessment, RankQuestion, Ranked, Ranking, Reason, ServerIndex, Verdict,
    check_assessment, check_ranking,
};

use crate::bindings::backend::selector;
use crate::bindings::failover;
use crate::call::{CallFailure, Called};
use crate::convert;
use crate::policy::Policy;

/// A question of Baton's core and its way through a policy.
pub(crate) trait Question: Sync {
    /// Its form in the contract.
    type Contract: Send + 'static;
    /// The answer's form in the contract.
    type Raw: Send + 'static;
    /// The answer.
    type Answer: Send;
    /// Name of the function asked.
    const NAME: &str;

    /// What is costly to hand over and not in `wants` may be left out.
    fn to_contract(&self, wants: &[String]) -> Self::Contract;
    fn call(policy: &Policy, question: &Self::Contract) -> Called<Self::Raw>;
    /// Holds the answer against what Baton allows.
    fn accept(&self, answer: Self::Raw) -> Result<Self::Answer, CallFailure>;
    /// The answer if no policy at all can give one.
    fn without_policy(&self) -> Self::Answer;
}

impl Question for AssessQuestion {
    type Contract = failover::AssessQuestion;
    type Raw = failover::Assessment;
    type Answer = Assessment;
    const NAME: &str = "assess";

    /// The question was made for what its policy wants.
    fn to_contract(&self, _wants: &[String]) -> Self::Contract {
        convert::assess_question(self)
    }

    fn call(policy: &Policy, question: &Self::Contract) -> Called<Self::Raw> {
        policy.call_assess(question)
    }

    fn accept(&self, answer: Self::Raw) -> Result<Assessment, CallFailure> {
        check_assessment(self, convert::assessment(answer))
            .map_err(|problem| CallFailure::Nonsense(problem.to_string()))
    }

    fn without_policy(&self) -> Assessment {
        Assessment {
            verdict: Verdict::Hold,
            reasons: vec![no_policy("nothing is done")],
        }
    }
}

impl Question for RankQuestion {
    type Contract = failover::RankQuestion;
    type Raw = failover::Ranking;
    type Answer = Ranking;
    const NAME: &str = "rank";

    fn to_contract(&self, _wants: &[String]) -> Self::Contract {
        convert::rank_question(self)
    }

    fn call(policy: &Policy, question: &Self::Contract) -> Called<Self::Raw> {
        policy.call_rank(question)
    }

    fn accept(&self, answer: Self::Raw) -> Result<Ranking, CallFailure> {
        check_ranking(self, convert::ranking(answer))
            .map_err(|problem| CallFailure::Nonsense(problem.to_string()))
    }

    /// The host's own order, most advanced first. Candidates that must not be promoted are left
    /// out, which vetoes them.
    fn without_policy(&self) -> Ranking {
        let must_not = |index: ServerIndex| {
            let server = usize::try_from(index)
                .ok()
                .and_then(|i| self.cluster.servers.get(i));
            server.is_none_or(|server| server.promotion == PromotionRule::MustNot)
        };
        let allowed = self
            .candidates
            .iter()
            .filter(|candidate| !must_not(candidate.server));
        let ranked = |server| Ranked {
            server,
            score: 0,
            reasons: Vec::new(),
        };
        Ranking {
            order: allowed.map(|candidate| ranked(candidate.server)).collect(),
            vetoes: Vec::new(),
            reasons: vec![no_policy("the most advanced candidate is taken")],
        }
    }
}

impl Question for SelectQuestion {
    type Contract = selector::SelectQuestion;
    type Raw = selector::Selection;
    type Answer = Selection;
    const NAME: &str = "select";

    fn to_contract(&self, wants: &[String]) -> Self::Contract {
        let wanted = |word: &str| wants.iter().any(|want| want == word);
        let costly = convert::Costly {
            facts: wanted("facts"),
            tags: wanted("tags"),
        };
        convert::select_question(self, costly)
    }

    fn call(policy: &Policy, question: &Self::Contract) -> Called<Self::Raw> {
        policy.call_select(question)
    }

    fn accept(&self, answer: Self::Raw) -> Result<Selection, CallFailure> {
        check_selection(self, convert::selection(answer))
            .map_err(|problem| CallFailure::Nonsense(problem.to_string()))
    }

    fn without_policy(&self) -> Selection {
        first_ready(self)
    }
}

fn no_policy(consequence: &str) -> Reason {
    Reason {
        code: "no-policy-answers".into(),
        text: format!(
            "Neither the configured policy nor the built-in default answered: {consequence}."
        ),
        about: Vec::new(),
    }
}
