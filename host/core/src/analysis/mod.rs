//! What is wrong with a cluster: pure rules over a snapshot, each with its evidence.
//!
//! Unknown is never treated as absent: a server that no probe has reached yet, a replica that was
//! not read since its source was lost, and a receiver that would not notice a loss are reasons to
//! wait or to hold, never to act.

mod acknowledging;
mod closed;
mod context;
mod cut_off;
mod events;
mod evidence_codes;
mod finding_codes;
mod loops;
mod operators;
mod orchestrator;
mod prepared;
mod primary;
mod reach;
mod replica_evidence;
mod replication;
mod report;
mod returned;
mod settings;
mod silence;
mod silent_intermediate;
mod silent_primary;
mod stalled_replicas;
mod structure;
mod useless;
mod writers;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

pub use closed::{is_closed, objections_to_ordered_reopening, reopening_objections};
pub use evidence_codes::EVIDENCE_CODES;
pub use finding_codes::Code;
pub use primary::primary_of;
pub(crate) use replica_evidence::ConnectError;
pub(crate) use replica_evidence::starved_before;
pub use replica_evidence::{gave_up_connecting, is_cut_off};
pub use report::{Evidence, Finding, PrimaryView, ProbeRequest, Report, Severity};
pub use settings::AnalysisSettings;
pub(crate) use useless::storage_fails;

use crate::model::Snapshot;
use context::{Context, ReportBuilder};

/// A rule looks at the cluster and adds what it finds.
type Rule = fn(&Context<'_>, &mut ReportBuilder);

/// All rules, by the file they stand in. They do not look at each other's findings, so their order
/// does not matter; only the last one speaks of what is left.
const RULES: &[&[Rule]] = &[
    silent_primary::RULES,
    silent_intermediate::RULES,
    useless::RULES,
    closed::RULES,
    writers::RULES,
    returned::RULES,
    stalled_replicas::RULES,
    cut_off::RULES,
    replication::RULES,
    structure::RULES,
    acknowledging::RULES,
    loops::RULES,
    reach::RULES,
    events::RULES,
    prepared::RULES,
];

/// The rule for what no other rule explains.
const LAST_RULE: Rule = reach::silent;

/// Everything wrong with the cluster of `snapshot`, most severe first, and the evidence that is
/// missing.
pub fn analyze(snapshot: &Snapshot, settings: &AnalysisSettings) -> Report {
    apply(snapshot, settings, RULES.iter().copied().flatten())
}

fn apply<'r>(
    snapshot: &Snapshot,
    settings: &AnalysisSettings,
    rules: impl Iterator<Item = &'r Rule>,
) -> Report {
    let cx = Context::new(snapshot, settings);
    let mut report = ReportBuilder::default();
    for rule in rules.chain([&LAST_RULE]) {
        rule(&cx, &mut report);
    }
    let (mut findings, mut probes) = report.into_parts();
    probes.retain(|probe| operators::allows(&cx, probe));
    operators::hold_for_operators(&cx, &mut findings);
    findings.sort_by(|one, two| {
        let key = |finding: &Finding| (Reverse(finding.severity), finding.code);
        key(one)
            .cmp(&key(two))
            .then_with(|| one.server.cmp(&two.server))
    });
    Report {
        taken_at: snapshot.taken_at,
        primary: cx.view,
        findings,
        probes,
    }
}
