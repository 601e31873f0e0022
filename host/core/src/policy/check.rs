//! What a policy may answer: it can narrow and order what the host allows, never widen it.

use std::collections::BTreeSet;

use super::backend::{NodeIndex, Objection};
use super::{
    AssessQuestion, Assessment, REASONS_MAX, RankQuestion, Ranking, Reason, ServerIndex, TEXT_MAX,
    Verdict, WAIT_MAX,
};

/// Why an answer is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerProblem {
    /// A server that is not part of the question.
    #[error("the answer names server {0}, which the question does not have")]
    UnknownServer(ServerIndex),
    /// A server that is no candidate.
    #[error("the answer ranks server {0}, which is not among the candidates")]
    NotACandidate(ServerIndex),
    /// Named twice.
    #[error("the answer names server {0} twice")]
    NamedTwice(ServerIndex),
    /// An empty order without a veto for each candidate.
    #[error("the answer ranks nobody and vetoes only {vetoed} of {candidates} candidates")]
    NobodyRanked {
        /// Vetoed candidates.
        vetoed: usize,
        /// All candidates.
        candidates: usize,
    },
    /// A backend node that is not part of the question.
    #[error("the answer names node {0}, which the question does not have")]
    UnknownNode(NodeIndex),
    /// A backend node named twice.
    #[error("the answer names node {0} twice")]
    NodeNamedTwice(NodeIndex),
    /// A backend node that the host does not admit.
    #[error("the answer calls node {node} usable, which it is not: {why}")]
    NodeNotAdmitted {
        /// The node.
        node: NodeIndex,
        /// The host's objection.
        why: Objection,
    },
    /// Chosen, but not among those it calls usable.
    #[error("the answer chooses node {0} and does not call it usable")]
    ChosenNotUsable(NodeIndex),
    /// Another usable node has a newer history.
    #[error("the answer changes to node {0}, whose history is older than that of another")]
    ChosenIsBehind(NodeIndex),
    /// Nodes are usable, but none is chosen.
    #[error("the answer calls {usable} nodes usable and chooses none")]
    NothingChosen {
        /// How many it calls usable.
        usable: usize,
    },
    /// `ask` without a topic or prompt.
    #[error("the answer asks a person without a topic or a prompt")]
    EmptyAsk,
}

/// Checks an assessment and cuts its texts to size.
///
/// # Errors
/// Says what makes the answer unacceptable; the default policy then answers.
pub fn check_assessment(
    question: &AssessQuestion,
    mut answer: Assessment,
) -> Result<Assessment, AnswerProblem> {
    let servers = question.cluster.servers.len();
    tidy(&mut answer.reasons, servers).map_err(AnswerProblem::UnknownServer)?;
    match &mut answer.verdict {
        Verdict::Act | Verdict::Hold => {}
        Verdict::Wait(time) => *time = (*time).clamp(1, WAIT_MAX),
        Verdict::Ask {
            topic,
            prompt,
            valid_for: _,
        } => {
            if topic.trim().is_empty() || prompt.trim().is_empty() {
                return Err(AnswerProblem::EmptyAsk);
            }
            cut(topic);
            cut(prompt);
        }
    }
    Ok(answer)
}

/// Checks a ranking and cuts its texts to size.
///
/// # Errors
/// Says what makes the answer unacceptable; the default policy then answers.
pub fn check_ranking(
    question: &RankQuestion,
    mut answer: Ranking,
) -> Result<Ranking, AnswerProblem> {
    let servers = question.cluster.servers.len();
    let allowed: BTreeSet<ServerIndex> = question.candidates.iter().map(|c| c.server).collect();
    let mut named = BTreeSet::new();
    tidy(&mut answer.reasons, servers).map_err(AnswerProblem::UnknownServer)?;
    let ranked = answer.order.iter_mut().map(|r| (r.server, &mut r.reasons));
    let vetoed = answer.vetoes.iter_mut().map(|v| (v.server, &mut v.reasons));
    for (server, reasons) in ranked.chain(vetoed) {
        if index_out_of(servers, server) {
            return Err(AnswerProblem::UnknownServer(server));
        }
        if !allowed.contains(&server) {
            return Err(AnswerProblem::NotACandidate(server));
        }
        if !named.insert(server) {
            return Err(AnswerProblem::NamedTwice(server));
        }
        tidy(reasons, servers).map_err(AnswerProblem::UnknownServer)?;
    }
    if answer.order.is_empty() && answer.vetoes.len() < allowed.len() {
        return Err(AnswerProblem::NobodyRanked {
            vetoed: answer.vetoes.len(),
            candidates: allowed.len(),
        });
    }
    Ok(answer)
}

/// Cuts reasons to size. The error is an index that the question's list of that length does not
/// have.
pub(super) fn tidy(reasons: &mut Vec<Reason>, length: usize) -> Result<(), u32> {
    reasons.truncate(REASONS_MAX);
    for reason in reasons {
        if let Some(&index) = reason
            .about
            .iter()
            .find(|&&index| index_out_of(length, index))
        {
            return Err(index);
        }
        cut(&mut reason.code);
        cut(&mut reason.text);
    }
    Ok(())
}

fn index_out_of(servers: usize, index: ServerIndex) -> bool {
    usize::try_from(index).map_or(true, |index| index >= servers)
}

/// Cuts a text to [`TEXT_MAX`] bytes at a character border and replaces control characters, which
/// could otherwise reach a terminal.
fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX)
            .rev()
            .find(|&i| text.is_char_boundary(i))
            .unwrap_or(0);
        text.truncate(end);
    }
    if text.contains(char::is_control) {
        *text = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
    }
}
