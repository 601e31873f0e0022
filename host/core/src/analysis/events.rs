//! Scheduled events that do not run, or would not after a promotion.

use super::context::{Context, ReportBuilder, evidence};
use super::finding_codes::Code;
use super::report::Severity;
use crate::ids::ServerId;
use crate::model::{EventName, Events};

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[left_disabled, schedulers];

/// Names shown of a long list.
const SHOWN: usize = 5;

/// Events of the primary that are disabled as on a replica: they came with a promotion, and nobody
/// has decided on them.
pub(super) fn left_disabled(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some((primary, events)) = of_primary(cx) else {
        return;
    };
    let left: Vec<&EventName> = events.left_replica_disabled().collect();
    if left.is_empty() {
        return;
    }
    let text = format!(
        "{primary} has {} events that are disabled as on a replica: {}.",
        left.len(),
        listed(&left)
    );
    let found = vec![evidence("events-left-disabled", text, [primary])];
    report.note(Code::EventsDisabled, primary, Severity::Warning, found);
}

/// Schedulers that are off where they should be on: the primary's while another member's is on, or
/// a replica's while the primary has events to run.
pub(super) fn schedulers(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some((primary, events)) = of_primary(cx) else {
        return;
    };
    let others: Vec<(&ServerId, bool)> = cx
        .servers()
        .filter(|server| server.id != *primary)
        .filter_map(|server| {
            let facts = cx.current(&server.id)?;
            Some((&server.id, facts.events.as_ref()?.scheduler))
        })
        .collect();
    let note = |report: &mut ReportBuilder, server, severity, text| {
        let found = vec![evidence("event-scheduler-off", text, [server])];
        report.note(Code::EventSchedulerOff, server, severity, found);
    };
    let to_run = events.enabled().count();
    if events.scheduler && to_run > 0 {
        for (other, _) in others.iter().filter(|(_, on)| !on) {
            let text = format!(
                "The event scheduler of {other} is off: the {to_run} events of {primary} would stop if it took over."
            );
            note(report, other, Severity::Notice, text);
        }
    }
    let waiting = to_run.saturating_add(events.left_replica_disabled().count());
    if !events.scheduler && waiting > 0 && others.iter().any(|(_, on)| *on) {
        let text = format!(
            "The event scheduler of {primary} is off, that of a replica is on: {waiting} events do not run."
        );
        note(report, primary, Severity::Warning, text);
    }
}

fn of_primary<'a>(cx: &Context<'a>) -> Option<(&'a ServerId, &'a Events)> {
    let primary = cx.primary()?;
    let facts = cx.current(&primary.id)?;
    let events = facts.events.as_ref().filter(|_| facts.is_writable())?;
    Some((&primary.id, events))
}

fn listed(names: &[&EventName]) -> String {
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(ToString::to_string).collect();
    if names.len() > SHOWN {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}
