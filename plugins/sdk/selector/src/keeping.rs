//! What selectors do alike: leave out nodes that cannot be used, stay where they are, and go back slowly and seldom.

use crate::{Node, Reason, SelectQuestion, Selection, Settings, Whole, reason, reason_about};

const HOUR_MS: u32 = 3_600_000;

/// What speaks against using a node, as a word; `None` = nothing. Baton accepts no answer that names such a node, so leave it out.
pub fn objection(node: &Node) -> Option<String> {
    // A refused or lost proof outweighs what the node says of itself: a node that was frozen tells its old state for seconds.
    if node.proof_ok == Some(false) {
        return Some("proof-failed".to_owned());
    }
    match node.ready {
        Some(true) => bar(node),
        Some(false) if node.not_ready.is_empty() => Some("not-ready".to_owned()),
        Some(false) => Some(node.not_ready.join(", ")),
        None => Some("not-known".to_owned()),
    }
}

/// Its lease epoch lies behind one that this Baton has seen: read before the newest was, or lost.
fn is_behind(node: &Node) -> bool {
    node.epoch_behind.is_some_and(|behind| behind > 0)
}

/// Words that bar a node even where everything else is well.
fn bar(node: &Node) -> Option<String> {
    const BARS: [&str; 2] = ["both-writable", "other-backend-state"];
    let bar = node
        .not_ready
        .iter()
        .find(|word| BARS.contains(&word.as_str()));
    bar.cloned()
}

/// How well a node pleases the selector.
#[derive(Clone, Debug)]
pub struct Standing<K> {
    /// The order of nodes among which none is in use: the smallest is taken.
    pub order: K,
    /// Why that order, for people, in the form "the first in order".
    pub why: String,
}

/// Whether to leave a node that can still be used for another one.
#[derive(Clone, Debug)]
pub enum Move {
    /// No.
    Stay,
    /// Yes, once the other one has been ready for the time of `return-after-ms`; the text says why.
    When(String),
}

/// Stays with the node in use, and bounds how soon and how often it goes to a better one of its own accord.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    settle_ms: u32,
    return_after_ms: Option<u32>,
    changes_max: u32,
    refusals_max: Option<u32>,
}

impl Keeping {
    /// Reads the settings that all selectors of this kind have. `return_after_ms` is the default of the one in which they differ.
    pub fn configure(settings: &mut Settings, return_after_ms: Option<u32>) -> Self {
        Self {
            settle_ms: settings.whole(Whole {
                name: "settle-ms",
                default: 3_000,
                min: 0,
                max: HOUR_MS,
                about: "How long a node must have been ready before it is preferred to one that was ready longer. If there is no other, it is used at once.",
            }),
            return_after_ms: settings.whole_or_off(
                Whole {
                    name: "return-after-ms",
                    default: 0,
                    min: 0,
                    max: 24 * HOUR_MS,
                    about: "How long a better node must have been ready before the one in use is left for it; null = never.",
                },
                return_after_ms,
            ),
            changes_max: settings.whole(Whole {
                name: "changes-per-hour",
                default: 4,
                min: 0,
                max: 1_000,
                about: "No more changes than this in an hour to a better node. Leaving a node that cannot be used is not bounded.",
            }),
            refusals_max: settings.whole_or_off(
                Whole {
                    name: "refusals",
                    default: 0,
                    min: 1,
                    max: 1_000_000,
                    about: "Leave a node on which so many statements were refused since the last question although it calls itself ready, if there is another; null = never.",
                },
                Some(3),
            ),
        }
    }

    /// Answers the question. `standing` orders nodes; `better` says whether the second of two usable ones is worth leaving the first for.
    pub fn select<K: Ord>(
        &self,
        question: &SelectQuestion,
        standing: impl Fn(&Node) -> Standing<K>,
        better: impl Fn(&Node, &Node) -> Move,
    ) -> Selection {
        let mut reasons = Vec::new();
        let mut fit: Vec<(u32, &Node)> = Vec::new();
        for (index, node) in (0u32..).zip(&question.nodes) {
            match objection(node) {
                None => fit.push((index, node)),
                Some(word) => reasons.push(unfit(index, node, &word)),
            }
        }
        let in_use = |index: u32| question.current == Some(index);
        fit.sort_by_cached_key(|(index, node)| {
            let unsettled = !in_use(*index) && !self.is_settled(node);
            // Baton accepts no change to an older history while a newer one can be used.
            let behind = !in_use(*index) && is_behind(node);
            (behind, unsettled, standing(node).order, *index)
        });
        let here = fit.iter().copied().find(|(index, _)| in_use(*index));
        let refused = here.filter(|_| fit.len() > 1 && self.refuses(question));
        if let Some((index, node)) = refused {
            let text = format!("{} refuses statements although it is ready.", node.address);
            reasons.insert(0, reason_about("statements-refused", text, vec![index]));
            fit.retain(|(other, _)| *other != index);
        }
        let chosen = match here.filter(|_| refused.is_none()) {
            Some(here) => self.stay_or_go(question, here, &fit, &better, &mut reasons),
            None => fit.first().copied().inspect(|(index, node)| {
                let text = format!("{} is {}.", node.address, standing(node).why);
                reasons.insert(0, reason_about("takes-first", text, vec![*index]));
            }),
        };
        if chosen.is_none() {
            reasons.insert(0, reason("no-node-fit", "No backend node can be used."));
        }
        let first = chosen.map(|(index, _)| index);
        let mut usable: Vec<u32> = fit.into_iter().map(|(index, _)| index).collect();
        usable.sort_by_key(|index| Some(*index) != first);
        // Better than nothing should all others be gone.
        usable.extend(refused.map(|(index, _)| index));
        Selection {
            chosen: first,
            usable,
            reasons,
            extra: None,
        }
    }

    /// The node in use is fit: is another one worth the change, and is it time?
    fn stay_or_go<'a>(
        &self,
        question: &SelectQuestion,
        here: (u32, &'a Node),
        fit: &[(u32, &'a Node)],
        better: impl Fn(&Node, &Node) -> Move,
        reasons: &mut Vec<Reason>,
    ) -> Option<(u32, &'a Node)> {
        let mut first_not_yet = None;
        let newest = fit.iter().any(|(_, node)| !is_behind(node));
        let others = fit.iter().filter(|(index, _)| *index != here.0);
        for &(index, node) in others.filter(|(_, node)| !newest || !is_behind(node)) {
            let Move::When(why) = better(here.1, node) else {
                continue;
            };
            match self.not_yet(question, node) {
                None => {
                    let text = format!("{} is left for {}: {why}.", here.1.address, node.address);
                    reasons.insert(0, reason_about("goes-to-better", text, vec![here.0, index]));
                    return Some((index, node));
                }
                Some(text) => {
                    let text = format!("{} would be better ({why}), but {text}.", node.address);
                    first_not_yet.get_or_insert(reason_about("not-yet", text, vec![index]));
                }
            }
        }
        reasons.splice(0..0, first_not_yet);
        let text = format!("{} is in use and can be used.", here.1.address);
        reasons.insert(0, reason_about("stays", text, vec![here.0]));
        Some(here)
    }

    fn not_yet(&self, question: &SelectQuestion, node: &Node) -> Option<String> {
        let Some(wanted) = self.return_after_ms else {
            return Some("return-after-ms is off".to_owned());
        };
        let wanted = wanted.max(self.settle_ms);
        let ready_for = node.ready_for.unwrap_or(0);
        if ready_for < wanted {
            return Some(format!("it has been ready for {ready_for} of {wanted} ms"));
        }
        // Between two equally good ones this alone keeps the choice from swinging.
        let here_for = question.current_for.unwrap_or(u32::MAX);
        if here_for < wanted {
            return Some(format!(
                "the present one is in use for {here_for} of {wanted} ms"
            ));
        }
        let changes = question.changes;
        (changes >= self.changes_max)
            .then(|| format!("there were {changes} changes within an hour"))
    }

    fn is_settled(&self, node: &Node) -> bool {
        node.ready_for.is_some_and(|time| time >= self.settle_ms)
    }

    fn refuses(&self, question: &SelectQuestion) -> bool {
        let refused = question
            .failures
            .iter()
            .filter(|(class, _)| class == "refused")
            .fold(0u32, |sum, (_, count)| sum.saturating_add(*count));
        self.refusals_max.is_some_and(|most| refused >= most)
    }
}

fn unfit(index: u32, node: &Node, word: &str) -> Reason {
    let code = if word == "other-backend-state" {
        "state-is-elsewhere"
    } else {
        "not-usable"
    };
    let text = format!("{} ({}) cannot be used: {word}.", node.address, node.kind);
    reason_about(code, text, vec![index])
}
