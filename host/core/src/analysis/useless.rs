//! A primary that answers and does no useful work, and one that waits for acknowledgements.

use std::time::Duration;

use super::context::{Context, ReportBuilder, evidence, in_words, listed};
use super::finding_codes::Code;
use super::report::{Evidence, Severity};
use super::writers::unless_rivals;
use crate::ids::ServerId;
use crate::model::{
    CommitProbe, ProbeFailure, Reach, RecoveryKind, SemiSync, Server, ServerFacts, Space,
};
use crate::policy::Suggestion;

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[useless_primary, few_connections, semi_sync_lock];

/// Where fewer are allowed, nine tenths say nothing.
const CONNECTIONS_MIN: u32 = 20;

/// Errors of a write that mean: the storage under this server does not take writes. Numbers and
/// names of MySQL's error reference (server errors, and the `EE_` errors of its file layer);
/// MariaDB has the same.
const STORAGE_ERRORS: &[(u16, &str)] = &[
    (1, "EE_CANTCREATEFILE: a file cannot be created"),
    (3, "EE_WRITE: a file cannot be written"),
    (20, "EE_DISK_FULL: the disk is full"),
    (1004, "ER_CANT_CREATE_FILE: a file cannot be created"),
    (1015, "ER_CANT_LOCK: a file cannot be locked"),
    (1021, "ER_DISK_FULL: the disk is full"),
    (1026, "ER_ERROR_ON_WRITE: a file cannot be written"),
    (1030, "ER_GET_ERRNO: the storage engine failed"),
    (
        1114,
        "ER_RECORD_FILE_FULL: the table, or the disk under it, is full",
    ),
    (
        1180,
        "ER_ERROR_DURING_COMMIT: the storage engine failed to commit",
    ),
    (
        1598,
        "ER_BINLOG_LOGGING_IMPOSSIBLE: the binary log cannot be written",
    ),
    (1811, "ER_IO_WRITE_ERROR: writing failed"),
    (
        1878,
        "ER_TEMP_FILE_WRITE_FAILURE: a temporary file cannot be written",
    ),
];

/// Errors of a write that mean: somebody or something made this server read-only. Another primary
/// may be at work.
const READ_ONLY_ERRORS: &[(u16, &str)] = &[
    (
        1290,
        "ER_OPTION_PREVENTS_STATEMENT: a read-only option is set",
    ),
    (
        1792,
        "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: transactions are read-only by default",
    ),
    (
        1836,
        "ER_READ_ONLY_MODE: the storage engine is in read-only mode",
    ),
];

/// Refusals over so long a time, the last of them no older, are no single statement that filled the
/// disk and gave its room back; a server that has executed nothing for so long does not commit
/// beside that.
const REFUSED_FOR: Duration = Duration::from_secs(2);

/// The primary answers, but clients cannot use it.
pub(super) fn useless_primary(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary() else {
        return;
    };
    let mut found = Vec::new();
    let recent = match primary.probe.reach() {
        Reach::Partial if primary.probe.failure == Some(ProbeFailure::TooManyConnections) => {
            let text = format!("{} has no connection left for us.", primary.id);
            found.push(evidence("connections-exhausted", text, [&primary.id]));
            read_lately(cx, primary)
        }
        Reach::Partial if refuses_by_storage(primary) => {
            let number = primary.probe.failure.as_ref();
            let number = number.and_then(ProbeFailure::error_number).unwrap_or(0);
            let text = format!(
                "A statement of our probe fails on {} with error {number}.",
                primary.id
            );
            found.push(evidence("storage-fails", text, [&primary.id]));
            None
        }
        // What it refuses else is said by the rule about servers that refuse us.
        Reach::Partial | Reach::NotProbed | Reach::Silent => return,
        Reach::Answering => primary.last_facts(),
    };
    let mut suggestion = if refuses_by_storage(primary) {
        unless_it_commits(cx, primary, &mut found)
    } else {
        Suggestion::Hold
    };
    if let Some(facts) = recent {
        let exhausted = all_connections_used(primary, facts).filter(|_| found.is_empty());
        found.extend(exhausted);
        let (commits, verdict) = commits(cx, primary, facts);
        found.extend(commits);
        suggestion = verdict;
        if space(cx, primary, facts, &mut found) == Suggestion::Act {
            suggestion = Suggestion::Act;
        }
    }
    if found.is_empty() {
        return;
    }
    if suggestion == Suggestion::Act {
        suggestion = successors(cx, &primary.id, &mut found);
    }
    let answer = (suggestion, RecoveryKind::Failover);
    report.propose_recovery(Code::PrimaryUseless, &primary.id, answer, found);
}

/// The storage under it fails our probe, which writes nothing but what the server itself needs for
/// an answer.
pub(super) fn refuses_by_storage(server: &Server) -> bool {
    let failure = server.probe.failure.as_ref();
    let number = failure.and_then(ProbeFailure::error_number);
    server.probe.reach() == Reach::Partial && number.is_some_and(is_storage_error)
}

/// Whether the storage under a server does not take its commits, as far as the server, or a commit
/// of ours, tells.
pub(crate) fn storage_fails(server: &Server) -> bool {
    let commit = server.last_facts().map(|facts| &facts.vitals.commit);
    refuses_by_storage(server)
        || server.space_awaited_since.is_some()
        || match commit {
            Some(CommitProbe::Refused { number }) => is_storage_error(*number),
            Some(CommitProbe::Stalled { .. }) => true,
            Some(CommitProbe::NotTried | CommitProbe::Committed { .. }) | None => false,
        }
}

/// Whether the server itself shows that its disk is full. Such a server must not take over.
fn has_no_space(server: &Server) -> bool {
    match server.last_facts().map(|facts| &facts.vitals.space) {
        Some(Space::Awaited { .. }) => true,
        Some(Space::Refused { first, last }) => goes_on(*first, *last),
        Some(Space::NoSign) | None => false,
    }
}

/// The volume that fails our probe may be another one than that of its data: then its replicas go
/// on receiving.
fn unless_it_commits(cx: &Context<'_>, primary: &Server, found: &mut Vec<Evidence>) -> Suggestion {
    let lost = primary.probe.failing_since;
    let goes_on: Vec<&ServerId> = cx
        .replicas(&primary.id)
        .into_iter()
        .filter(|id| {
            let progressed = cx.server(id).and_then(|replica| replica.progressed_at);
            progressed > lost
        })
        .collect();
    if goes_on.is_empty() {
        return Suggestion::Act;
    }
    let text = format!(
        "{}: executed something after that, so {} commits.",
        listed(goes_on.iter().copied()),
        primary.id
    );
    found.push(evidence("still-commits", text, goes_on));
    Suggestion::Hold
}

/// What it said just before its last connection was taken: usually why.
fn read_lately<'a>(cx: &Context<'a>, primary: &'a Server) -> Option<&'a ServerFacts> {
    let read = primary.facts.as_ref()?;
    let is_young = cx.is_recent(read.at);
    is_young.then_some(&read.value)
}

/// Said before nobody can connect any more: then it is [`Code::PrimaryUseless`].
fn few_connections(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary() else { return };
    let Some(facts) = cx.current(&primary.id) else {
        return;
    };
    let counts = facts.vitals.connections.zip(facts.vitals.connections_max);
    let Some((open, most)) = counts else { return };
    let is_low = u64::from(open) * 10 >= u64::from(most) * 9 && open < most;
    if is_low && most >= CONNECTIONS_MIN {
        let id = &primary.id;
        let text = format!(
            "{id} has {open} of at most {most} connections open: raise max_connections, or look who keeps them."
        );
        let found = vec![evidence("few-connections-left", text, [id])];
        report.note(Code::PrimaryConnectionsLow, id, Severity::Warning, found);
    }
}

fn all_connections_used(primary: &Server, facts: &ServerFacts) -> Option<Evidence> {
    let (open, most) = facts.vitals.connections.zip(facts.vitals.connections_max)?;
    (open >= most && most > 0).then(|| {
        let text = format!(
            "{} has {open} of at most {most} connections open.",
            primary.id
        );
        evidence("connections-exhausted", text, [&primary.id])
    })
}

/// What the commit probe shows, and whether that is worth a failover.
fn commits(
    cx: &Context<'_>,
    primary: &Server,
    facts: &ServerFacts,
) -> (Option<Evidence>, Suggestion) {
    let id = &primary.id;
    match facts.vitals.commit {
        CommitProbe::NotTried | CommitProbe::Committed { .. } => (None, Suggestion::Hold),
        CommitProbe::Refused { number } => {
            let named = |list: &'static [(u16, &'static str)]| {
                list.iter()
                    .find(|(known, _)| *known == number)
                    .map(|(_, meaning)| *meaning)
            };
            if let Some(meaning) = named(STORAGE_ERRORS) {
                let text = format!("{id} refuses commits with error {number} ({meaning}).");
                (
                    Some(evidence("storage-refuses-commits", text, [id])),
                    Suggestion::Act,
                )
            } else if facts.read_only {
                // A read-only server refuses writes as it should; another rule speaks about it.
                (None, Suggestion::Hold)
            } else {
                let meaning = named(READ_ONLY_ERRORS).unwrap_or("an error that proves no failure");
                let text = format!("{id} refuses commits with error {number} ({meaning}).");
                (
                    Some(evidence("commits-refused", text, [id])),
                    Suggestion::Hold,
                )
            }
        }
        CommitProbe::Stalled { waited } => {
            let limit = cx.settings.commit_stall_limit;
            // What waits for acknowledgements is no matter of this server's storage.
            let semi_sync = facts.semi_sync.as_ref();
            if waited <= limit || semi_sync.is_some_and(SemiSync::has_waiting_sessions) {
                return (None, Suggestion::Hold);
            }
            let (waited, limit) = (in_words(waited), in_words(limit));
            let text = format!("A commit on {id} has waited for {waited}, limit {limit}.");
            (Some(evidence("commits-stall", text, [id])), Suggestion::Act)
        }
    }
}

/// Refusals of these ages are no single one, and have not ended.
fn goes_on(first: Duration, last: Duration) -> bool {
    first.saturating_sub(last) >= REFUSED_FOR && last <= REFUSED_FOR
}

/// What the server itself shows of a full disk.
fn space(
    cx: &Context<'_>,
    primary: &Server,
    facts: &ServerFacts,
    found: &mut Vec<Evidence>,
) -> Suggestion {
    let id = &primary.id;
    match &facts.vitals.space {
        Space::NoSign => Suggestion::Hold,
        Space::Awaited { sessions } => {
            // A second reading showed it, too. To wait for longer helps nobody: the server itself
            // looks for space only after a minute.
            let read = primary.facts.as_ref().map(|facts| facts.at);
            let since = primary.space_awaited_since.filter(|_| !facts.read_only);
            let Some(since) = since.filter(|since| read > Some(*since)) else {
                return Suggestion::Hold;
            };
            let waited = in_words(cx.now().since(since));
            let text = format!(
                "{sessions} sessions on {id} wait for disk space, nothing was executed for {waited}."
            );
            found.push(evidence("waits-for-space", text, [id]));
            Suggestion::Act
        }
        Space::Refused { first, last } => {
            if !goes_on(*first, *last) || facts.read_only {
                return Suggestion::Hold;
            }
            let (since, ago) = (in_words(*first), in_words(*last));
            let text = format!(
                "The engine of {id} finds no room on the disk, for {since} at least, {ago} ago for the last time."
            );
            found.push(evidence("disk-full", text, [id]));
            let still = primary
                .progressed_at
                .is_none_or(|at| cx.now().since(at) >= REFUSED_FOR);
            if still {
                return Suggestion::Act;
            }
            let text = format!("{id} executed something after that.");
            found.push(evidence("still-commits", text, [id]));
            Suggestion::Hold
        }
    }
}

/// A failover from a server that lives is only an improvement if a replica is up and replicates.
fn successors(cx: &Context<'_>, primary: &ServerId, list: &mut Vec<Evidence>) -> Suggestion {
    let healthy: Vec<&ServerId> = cx
        .edges_below(primary)
        .filter(|edge| edge.channel.is_replicating() && cx.answers(&edge.replica))
        .filter(|edge| !cx.server(&edge.replica).is_some_and(has_no_space))
        .map(|edge| &edge.replica)
        .collect();
    if healthy.is_empty() {
        let text = format!("No replica of {primary} answers and replicates.");
        list.push(evidence("no-healthy-replica", text, [primary]));
        return Suggestion::Hold;
    }
    let text = format!(
        "{}: answers and replicates.",
        listed(healthy.iter().copied())
    );
    list.push(evidence("healthy-replica", text, healthy));
    unless_rivals(cx, primary, list)
}

/// Commits on the primary wait for acknowledgements that do not come. How many replicas it counts
/// as acknowledging says little: it learns late of a connection that is cut.
pub(super) fn semi_sync_lock(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary() else {
        return;
    };
    let Some(semi) = cx
        .current(&primary.id)
        .and_then(|facts| facts.semi_sync.as_ref())
    else {
        return;
    };
    let still = primary
        .commits_wait_since
        .map_or(Duration::ZERO, |since| cx.now().since(since));
    if !semi.has_waiting_sessions() || still < cx.settings.semi_sync_stall_limit {
        return;
    }
    let text = format!(
        "{} sessions on {} wait for {} acknowledgements, {} replicas acknowledge, nothing was committed for {}.",
        semi.waiting_sessions,
        primary.id,
        semi.wait_for,
        semi.clients,
        in_words(still)
    );
    let found = vec![evidence("acknowledgements-missing", text, [&primary.id])];
    report.note(
        Code::PrimarySemiSyncLocked,
        &primary.id,
        Severity::Critical,
        found,
    );
}

/// A failure that names the storage, although the server answers.
fn is_storage_error(number: u16) -> bool {
    STORAGE_ERRORS.iter().any(|(known, _)| *known == number)
}
