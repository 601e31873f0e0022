//! What a selector may answer, and the answer if none can.

use std::collections::BTreeSet;

use super::{BackendNode, NodeIndex, SelectQuestion, Selection, is_behind, objection};
use crate::policy::Reason;
use crate::policy::check::{AnswerProblem, tidy};

/// Checks a selection and cuts its texts to size: it can narrow and order what the host admits,
/// never widen it.
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
        Some(index) if goes_behind(question, index) => Err(AnswerProblem::ChosenIsBehind(index)),
        None if !named.is_empty() => Err(AnswerProblem::NothingChosen {
            usable: named.len(),
        }),
        _ => Ok(answer),
    }
}

/// A change to a node with an older history than another one that could be used. To stay on such a
/// node is no change.
fn goes_behind(question: &SelectQuestion, chosen: NodeIndex) -> bool {
    let node = usize::try_from(chosen)
        .ok()
        .and_then(|index| question.nodes.get(index));
    let up_to_date = |node: &BackendNode| objection(node).is_none() && !is_behind(node);
    question.current != Some(chosen)
        && node.is_some_and(is_behind)
        && question.nodes.iter().any(up_to_date)
}

/// The answer if not even the default selector gives one: stay while the node in use is admitted,
/// otherwise the first that is and has the newest history.
pub fn first_ready(question: &SelectQuestion) -> Selection {
    let mut admitted: Vec<(NodeIndex, &BackendNode)> = (0..)
        .zip(&question.nodes)
        .filter(|(_, node)| objection(node).is_none())
        .collect();
    admitted.sort_by_key(|(index, node)| (Some(*index) != question.current, is_behind(node)));
    let usable: Vec<NodeIndex> = admitted.into_iter().map(|(index, _)| index).collect();
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
