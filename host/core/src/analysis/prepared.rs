//! XA transactions that stay prepared.

use std::time::Duration;

use super::context::{Context, ReportBuilder, evidence};
use super::finding_codes::Code;
use super::report::Severity;
use crate::ids::ServerId;
use crate::model::{Server, ServerFacts, named};

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[in_doubt, only_here];

/// A replica that is no further behind has applied what its primary did a minute ago.
const NEAR: Duration = Duration::from_secs(10);

/// Transactions of the primary that nobody commits or rolls back. Replicas and the next primary
/// have them, too, with their locks (measured on MariaDB 10.11 and MySQL 9.7).
pub(super) fn in_doubt(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary() else {
        return;
    };
    let left = long_prepared(cx, primary);
    if left.is_empty() {
        return;
    }
    let text = format!(
        "{} has {} XA transactions that have been prepared for more than a minute: {}. They keep their locks until somebody commits them or rolls them back.",
        primary.id,
        left.len(),
        named(left.iter().copied())
    );
    note(report, &primary.id, "prepared-for-long", text);
}

/// Transactions that a replica has and its primary does not: they were prepared outside the binary
/// log, or ended on the primary without it. What the replica applies waits for their locks.
pub(super) fn only_here(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary() else {
        return;
    };
    let known = cx.current(&primary.id);
    let Some(known) = known.and_then(|facts| facts.prepared.as_ref()) else {
        return;
    };
    for server in cx.servers().filter(|server| server.id != primary.id) {
        let mut only = long_prepared(cx, server);
        only.retain(|name| !known.contains(*name));
        if only.is_empty() || !cx.current(&server.id).is_some_and(is_near) {
            continue;
        }
        let text = format!(
            "{} has {} prepared XA transactions that {} does not have: {}. What it applies waits for their locks.",
            server.id,
            only.len(),
            primary.id,
            named(only.iter().copied())
        );
        note(report, &server.id, "prepared-only-here", text);
    }
}

fn long_prepared<'a>(cx: &Context<'_>, server: &'a Server) -> Vec<&'a String> {
    if cx.current(&server.id).is_none() {
        return Vec::new();
    }
    server.long_prepared(cx.now()).collect()
}

fn is_near(facts: &ServerFacts) -> bool {
    let mut channels = facts.channels.iter();
    channels.all(|channel| channel.delay.is_zero() && channel.lag.is_some_and(|lag| lag <= NEAR))
}

fn note(report: &mut ReportBuilder, server: &ServerId, code: &'static str, text: String) {
    let found = vec![evidence(code, text, [server])];
    report.note(Code::PreparedTransactions, server, Severity::Warning, found);
}
