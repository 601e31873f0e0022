//! How long findings have held: history that one snapshot does not have.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_core::analysis::{Code, Report};
use baton_core::ids::ServerId;
use baton_core::model::Held;
use baton_core::time::Timestamp;

/// How long coming and going is remembered.
const HISTORY: Duration = Duration::from_secs(3600);
/// Most comings remembered per finding; more is "that or more".
const FLAPS_MAX: usize = 100;

#[derive(Debug, Default)]
struct Run {
    since: Option<Timestamp>,
    begun: Vec<Timestamp>,
}

/// Runs of findings, by code and server.
#[derive(Debug, Default)]
pub(crate) struct HeldFindings {
    runs: BTreeMap<(Code, ServerId), Run>,
}

impl HeldFindings {
    /// Takes the newest report in.
    pub(crate) fn update(&mut self, report: &Report, now: Timestamp) {
        let present: Vec<(Code, ServerId)> = report
            .findings
            .iter()
            .map(|finding| (finding.code, finding.server.clone()))
            .collect();
        for key in &present {
            let run = self.runs.entry(key.clone()).or_default();
            if run.since.is_none() {
                run.since = Some(now);
                if run.begun.len() < FLAPS_MAX {
                    run.begun.push(now);
                }
            }
        }
        for (key, run) in &mut self.runs {
            if !present.contains(key) {
                run.since = None;
            }
            run.begun.retain(|begun| now.since(*begun) < HISTORY);
        }
        self.runs
            .retain(|_, run| run.since.is_some() || !run.begun.is_empty());
    }

    /// How long a finding has held at `now`.
    pub(crate) fn of(&self, code: Code, server: &ServerId, now: Timestamp) -> Held {
        let run = self.runs.get(&(code, server.clone()));
        Held {
            since: run.and_then(|run| run.since).unwrap_or(now),
            flaps: run.map_or(0, |run| {
                u32::try_from(run.begun.len().saturating_sub(1)).unwrap_or(u32::MAX)
            }),
        }
    }
}
