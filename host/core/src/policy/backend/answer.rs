//! What a selector may answer, and the answer if none can.

use std::collections::BTreeSet;

use super::{NodeIndex, SelectQuestion, Selection, objection};
use crate::policy::Reason;
use crate::policy::check::{AnswerProblem, tidy};

/// Checks a selection and cuts its texts to size: it can narrow and order what the host admits, never widen it.
///
/// # Errors
/// Says what makes the answer unacceptable; the default selector then answers.
pub fn check_selection(
    question: &SelectQuestion,
    mut answer: Selection,
) -> Result<Selection, AnswerProblem> {
    tidy(&mut answer.reasons, question.nodes.len()).map_err(AnswerProblem::UnknownNode)?;
    let mut named = BTreeSet::new();
    for &index in &answer.usable {
        let node = usize::try_from(index)
            .ok()
            .and_then(|index| question.nodes.get(index))
            .ok_or(AnswerProblem::UnknownNode(index))?;
        if !named.insert(index) {
            return Err(AnswerProblem::NodeNamedTwice(index));
        }
        if let Some(why) = objection(node) {
            return Err(AnswerProblem::NodeNotAdmitted { node: index, why });
        }
    }
    match answer.chosen {
        Some(index) if !named.contains(&index) => Err(AnswerProblem::ChosenNotUsable(index)),
        None if !named.is_empty() => Err(AnswerProblem::NothingChosen {
            usable: named.len(),
        }),
        _ => Ok(answer),
    }
}

/// The answer if not even the default selector gives one: stay while the node in use is admitted, otherwise the first that is.
pub fn first_ready(question: &SelectQuestion) -> Selection {
    let admitted = (0..).zip(&question.nodes);
    let mut usable: Vec<NodeIndex> = admitted
        .filter(|(_, node)| objection(node).is_none())
        .map(|(index, _)| index)
        .collect();
    usable.sort_by_key(|index| Some(*index) != question.current);
    let chosen = usable.first().copied();
    let text = match chosen {
        Some(_) => {
            "Neither the configured selector nor the built-in one answered: the node in use, or else the first that is ready, is taken."
        }
        None => {
            "Neither the configured selector nor the built-in one answered, and no node is ready."
        }
    };
    let reason = Reason {
        code: "no-selector-answers".into(),
        text: text.into(),
        about: chosen.into_iter().collect(),
    };
    Selection {
        chosen,
        usable,
        reasons: vec![reason],
    }
}
