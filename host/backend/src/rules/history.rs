//! What the lease epochs tell about lost commits.
//!
//! Epochs only grow. A node that shows a lower one than its fellows lacks commits that they have,
//! and is not used beside them. If all that answer show a lower one than was seen before, the
//! backend as a whole lost commits (an asynchronous failover, the end of all data nodes, a backup):
//! waiting would not bring them back. It is used with a warning, and the next lease takes a number
//! above the highest ever seen. If even the tables are gone, a person has to decide.

use baton_ports::{BackendCondition, ConditionWord};

use super::{Memory, Subject, Verdict};
use crate::progress::Standing;

/// Adds what follows from the epochs.
pub(super) fn judge(subjects: &[Subject<'_>], memory: Memory<'_>, verdicts: &mut [Verdict]) {
    let Some((highest, since)) = memory.epoch else {
        return;
    };
    // What was read before the highest epoch was seen says nothing about it.
    let shown: Vec<Option<Shown>> = subjects
        .iter()
        .map(|subject| {
            let answers = matches!(
                subject.progress.standing(),
                Standing::Answering | Standing::Suspect
            );
            let (at, content) = subject.progress.content.as_ref()?;
            let readable = !content.no_database && !content.denied;
            (answers && readable).then_some(Shown {
                epoch: content.epoch,
                outdated: *at < since,
            })
        })
        .collect();
    let best = shown
        .iter()
        .flatten()
        .filter(|shown| !shown.outdated)
        .filter_map(|shown| shown.epoch)
        .max()
        .unwrap_or(0)
        .min(highest);
    for ((subject, shown), verdict) in subjects.iter().zip(shown).zip(verdicts) {
        let Some(shown) = shown else { continue };
        if shown.outdated {
            verdict.epoch_behind = Some(0);
            continue;
        }
        let own = shown.epoch.unwrap_or(0);
        verdict.epoch_behind = Some(saturated(best.saturating_sub(own)));
        say(*subject, shown.epoch, (highest, memory.had_tables), verdict);
    }
}

/// The epoch that a node shows.
#[derive(Clone, Copy)]
struct Shown {
    epoch: Option<u64>,
    outdated: bool,
}

fn say(
    subject: Subject<'_>,
    epoch: Option<u64>,
    (highest, had_tables): (u64, bool),
    verdict: &mut Verdict,
) {
    let Some(epoch) = epoch else {
        if had_tables && verdict.ready.is_some() {
            let text = format!(
                "holds none of Baton's state although lease epoch {highest} was seen: look whether it is the right database, \
                 and restore a backup; to begin anew, accept the loss"
            );
            verdict.against(BackendCondition::of(
                ConditionWord::HistoryOlder,
                subject.address,
                &text,
            ));
        }
        return;
    };
    let behind = highest.saturating_sub(epoch);
    if behind == 0 {
        return;
    }
    let text = format!(
        "shows lease epoch {epoch} although {highest} was seen: it lags behind, or commits were lost (a failover of an \
         asynchronous pair, a crash of all nodes, an old backup); see whether anything else is missing"
    );
    verdict.notes.push(BackendCondition::of(
        ConditionWord::HistoryOlder,
        subject.address,
        &text,
    ));
}

fn saturated(behind: u64) -> u32 {
    u32::try_from(behind).unwrap_or(u32::MAX)
}
