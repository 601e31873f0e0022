//! Servers that refuse us, and servers whose silence nothing else explains.

use super::context::{Context, ReportBuilder, evidence, in_words};
use super::finding_codes::Code;
use super::report::Severity;
use super::useless::refuses_by_storage;
use crate::model::{ProbeFailure, Reach, Server};

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[refusing];

/// A server lives, but does not let us read it.
pub(super) fn refusing(cx: &Context<'_>, report: &mut ReportBuilder) {
    for server in cx
        .servers()
        .filter(|server| server.probe.reach() == Reach::Partial)
    {
        let is_primary = cx.is_primary(&server.id);
        let Some(failure) = &server.probe.failure else {
            continue;
        };
        if *failure == ProbeFailure::ReceiverWaitsForSpace {
            let text = format!(
                "A receiver of {} waits for space for its relay log.",
                server.id
            );
            let found = vec![evidence("waits-for-space", text, [&server.id])];
            report.note(
                Code::ReplicaReceivesNothing,
                &server.id,
                Severity::Warning,
                found,
            );
            continue;
        }
        let storage = refuses_by_storage(server);
        if is_primary && (storage || *failure == ProbeFailure::TooManyConnections) {
            // Said by the rule about a useless primary.
            continue;
        }
        let number = failure.error_number();
        let code = if storage {
            "storage-fails"
        } else {
            "refused-by-server"
        };
        let number = number.map_or_else(String::new, |number| format!(", error {number}"));
        let text = format!("{} answers with {}{number}.", server.id, failure.word());
        let severity = if is_primary {
            Severity::Critical
        } else {
            Severity::Warning
        };
        let found = vec![evidence(code, text, [&server.id])];
        report.note(Code::ServerRefusesUs, &server.id, severity, found);
    }
}

/// A server does not answer, and no earlier rule spoke about that. Must be the last rule.
pub(super) fn silent(cx: &Context<'_>, report: &mut ReportBuilder) {
    let silent = |server: &&Server| server.probe.reach() == Reach::Silent;
    for server in cx.servers().filter(silent) {
        let speaks = |code: Code| code.explains_silence();
        let explained = report
            .findings
            .iter()
            .any(|f| f.server == server.id && speaks(f.code));
        if explained {
            continue;
        }
        let failure = server
            .probe
            .failure
            .as_ref()
            .map_or("no answer", ProbeFailure::word);
        let since = server
            .probe
            .failing_since
            .map(|at| in_words(cx.now().since(at)));
        let text = format!(
            "{} does not answer us ({failure}, for {}).",
            server.id,
            since.as_deref().unwrap_or("an unknown time")
        );
        let found = vec![evidence("does-not-answer", text, [&server.id])];
        report.note(Code::ServerSilent, &server.id, Severity::Warning, found);
    }
}
