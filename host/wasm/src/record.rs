//! Questions and answers as text, so that a decision can be stored, explained, and asked again of
//! any policy.
//!
//! The text is JSON of the contract's types, with a fixed order of fields: equal questions make
//! equal bytes.

use baton_core::policy::backend::{SelectQuestion, Selection};
use baton_core::policy::{AssessQuestion, Assessment, RankQuestion, Ranking};
use serde::{Deserialize, Serialize};

use crate::bindings::backend::selector;
use crate::bindings::failover;
use crate::call::{CallFailure, Called};
use crate::convert;
use crate::policy::Policy;

/// The version of the contract that a record is in; part of each record.
const CONTRACT: &str = "baton:policy@0.1.0";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    contract: String,
    question: RecordedQuestion,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RecordedQuestion {
    Assess(Box<failover::AssessQuestion>),
    Rank(Box<failover::RankQuestion>),
    Select(Box<selector::SelectQuestion>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum RecordedAnswer {
    Assess(failover::Assessment),
    Rank(failover::Ranking),
    Select(selector::Selection),
}

/// Why a record cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not a record.
    #[error("cannot read the recorded question")]
    Unreadable(#[source] serde_json::Error),
    /// A record of another version of the contract.
    #[error("the question was recorded for {found}; this Baton replays {CONTRACT}")]
    OtherContract {
        /// What the record says.
        found: String,
    },
    /// The answer cannot be written down.
    #[error("cannot write the answer down")]
    Unwritable(#[source] serde_json::Error),
}

/// What a policy answered to a recorded question. The answer is the policy's own, not yet held
/// against what Baton allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The answer as JSON, in the form of [`assessment_json`] and its like, or why there is none.
    pub answer: Result<String, CallFailure>,
    /// Units of work used. Equal in each replay by the same component.
    pub fuel: u64,
    /// What the policy logged.
    pub log: Vec<String>,
}

/// An `assess` question, ready to be stored.
///
/// # Errors
/// Never in practice: every question can be written as JSON.
pub fn assess_question_json(question: &AssessQuestion) -> Result<String, RecordError> {
    write_question(RecordedQuestion::Assess(Box::new(
        convert::assess_question(question),
    )))
}

/// A `rank` question, ready to be stored.
///
/// # Errors
/// As [`assess_question_json`].
pub fn rank_question_json(question: &RankQuestion) -> Result<String, RecordError> {
    write_question(RecordedQuestion::Rank(Box::new(convert::rank_question(
        question,
    ))))
}

/// A `select` question, ready to be stored.
///
/// # Errors
/// As [`assess_question_json`].
pub fn select_question_json(question: &SelectQuestion) -> Result<String, RecordError> {
    write_question(RecordedQuestion::Select(Box::new(
        convert::select_question(question, convert::Costly::ALL),
    )))
}

/// An `assess` answer, ready to be stored.
///
/// # Errors
/// As [`assess_question_json`].
pub fn assessment_json(answer: &Assessment) -> Result<String, RecordError> {
    write_answer(&RecordedAnswer::Assess(convert::assessment_record(answer)))
}

/// A `rank` answer, ready to be stored.
///
/// # Errors
/// As [`assess_question_json`].
pub fn ranking_json(answer: &Ranking) -> Result<String, RecordError> {
    write_answer(&RecordedAnswer::Rank(convert::ranking_record(answer)))
}

/// A `select` answer, ready to be stored.
///
/// # Errors
/// As [`assess_question_json`].
pub fn selection_json(answer: &Selection) -> Result<String, RecordError> {
    write_answer(&RecordedAnswer::Select(convert::selection_record(answer)))
}

/// Asks a recorded question again.
///
/// # Errors
/// If the record cannot be read. A policy that fails is not an error but a result.
pub fn replay(policy: &Policy, question: &str) -> Result<Replayed, RecordError> {
    let recorded: Recorded = serde_json::from_str(question).map_err(RecordError::Unreadable)?;
    if recorded.contract != CONTRACT {
        return Err(RecordError::OtherContract {
            found: recorded.contract,
        });
    }
    match recorded.question {
        RecordedQuestion::Assess(question) => {
            replayed(policy.call_assess(&question), RecordedAnswer::Assess)
        }
        RecordedQuestion::Rank(question) => {
            replayed(policy.call_rank(&question), RecordedAnswer::Rank)
        }
        RecordedQuestion::Select(question) => {
            replayed(policy.call_select(&question), RecordedAnswer::Select)
        }
    }
}

fn replayed<T>(
    called: Called<T>,
    wrap: impl FnOnce(T) -> RecordedAnswer,
) -> Result<Replayed, RecordError> {
    let Called { answer, log, fuel } = called;
    let answer = match answer {
        Ok(answer) => Ok(write_answer(&wrap(answer))?),
        Err(failure) => Err(failure),
    };
    Ok(Replayed { answer, fuel, log })
}

fn write_question(question: RecordedQuestion) -> Result<String, RecordError> {
    let recorded = Recorded {
        contract: CONTRACT.to_owned(),
        question,
    };
    serde_json::to_string(&recorded).map_err(RecordError::Unwritable)
}

fn write_answer(answer: &RecordedAnswer) -> Result<String, RecordError> {
    serde_json::to_string(answer).map_err(RecordError::Unwritable)
}
