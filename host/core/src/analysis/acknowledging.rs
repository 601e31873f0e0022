//! What an acknowledgement is worth, and who gives it: said in calm times, because it decides what
//! a failover can do.

use super::context::{Context, ReportBuilder, evidence, listed};
use super::finding_codes::Code;
use super::report::{Evidence, Severity};
use crate::ids::ServerId;
use crate::model::{Edge, Flavor, SemiSync, Server, ServerFacts, ThreadState, WaitPoint};
use crate::planning::{Ineligible, declared, logging, was_to_wait};

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[acknowledgements];

/// Everything about acknowledgements that can be set right before it matters.
pub(super) fn acknowledgements(cx: &Context<'_>, report: &mut ReportBuilder) {
    replicas_that_wait(cx, report);
    let Some(primary) = cx.primary() else {
        return;
    };
    let Some(facts) = cx.current(&primary.id) else {
        return;
    };
    let Some(semi_sync) = &facts.semi_sync else {
        return;
    };
    if !semi_sync.source_enabled {
        does_not_wait(cx, report, primary, facts);
        return;
    }
    note(
        report,
        Code::AcknowledgementsNotDurable,
        &primary.id,
        commits_not_durable(&primary.id, facts),
    );
    note(
        report,
        Code::AcknowledgedAfterCommit,
        &primary.id,
        after_commit(&primary.id, semi_sync),
    );
    note(
        report,
        Code::WaitCountTooSmall,
        &primary.id,
        waits_for_few(&primary.id, facts, semi_sync),
    );
    let acknowledgers: Vec<Acknowledger<'_>> = acknowledgers(cx, &primary.id).collect();
    for acknowledger in &acknowledgers {
        not_durable(report, acknowledger);
    }
    unpromotable(report, &acknowledgers, semi_sync);
}

fn note(report: &mut ReportBuilder, code: Code, server: &ServerId, found: Vec<Evidence>) {
    if !found.is_empty() {
        report.note(code, server, Severity::Warning, found);
    }
}

/// A direct replica of the primary that answers and acknowledges.
struct Acknowledger<'s> {
    server: &'s Server,
    facts: &'s ServerFacts,
    edge: &'s Edge,
}

fn acknowledgers<'s>(
    cx: &'s Context<'_>,
    primary: &'s ServerId,
) -> impl Iterator<Item = Acknowledger<'s>> {
    cx.edges_below(primary).filter_map(|edge| {
        let server = cx.server(&edge.replica)?;
        let facts = cx.current(&edge.replica)?;
        let acknowledges = facts
            .semi_sync
            .as_ref()
            .is_some_and(|semi_sync| semi_sync.replica_enabled && semi_sync.replica_active);
        let receives = edge.channel.receiver == ThreadState::Running;
        (acknowledges && receives).then_some(Acknowledger {
            server,
            facts,
            edge,
        })
    })
}

/// What a crash of the machine takes back of what the server itself committed.
fn commits_not_durable(id: &ServerId, facts: &ServerFacts) -> Vec<Evidence> {
    let durability = &facts.durability;
    let mut found = Vec::new();
    if let Some(value) = durability.sync_binlog.filter(|value| *value != 1) {
        let text = format!(
            "{id} has sync_binlog={value}: a crash of its machine may take commits out of its binary log. Set it to 1."
        );
        found.push(evidence("binary-log-not-synced", text, [id]));
    }
    if let Some(value) = durability.flush_log_at_commit.filter(|value| *value != 1) {
        let text = format!(
            "{id} has innodb_flush_log_at_trx_commit={value}: a crash of its machine may undo commits. Set it to 1."
        );
        found.push(evidence("engine-log-not-flushed", text, [id]));
    }
    found
}

/// What a replica has acknowledged is in its relay log: does that outlive its restart, and a crash
/// of its machine?
fn not_durable(report: &mut ReportBuilder, acknowledger: &Acknowledger<'_>) {
    let id = &acknowledger.server.id;
    let durability = &acknowledger.facts.durability;
    let mut found = commits_not_durable(id, acknowledger.facts);
    // Whatever the settings: both threads stopped, and started again, is enough.
    let dropped =
        acknowledger.facts.flavor == Flavor::Mariadb && acknowledger.edge.channel.auto_position;
    if durability.relay_log_recovery == Some(true) && !dropped {
        let text = format!(
            "{id} has relay_log_recovery=ON: a restart takes back what it acknowledged and has not applied. Set it to OFF."
        );
        found.push(evidence("relay-log-recovery", text, [id]));
    }
    if let Some(value) = durability
        .sync_relay_log
        .filter(|value| *value != 1 && !dropped)
    {
        let text = format!(
            "{id} has sync_relay_log={value}: a crash of its machine takes back what it acknowledged last. Set it to 1."
        );
        found.push(evidence("relay-log-not-synced", text, [id]));
    }
    // No setting helps against it, so by itself it is only worth knowing.
    let severity = if found.is_empty() {
        Severity::Notice
    } else {
        Severity::Warning
    };
    if dropped {
        let text = format!(
            "{id} replicates by GTID and is a MariaDB: a restart takes back what it acknowledged and has not applied."
        );
        found.push(evidence("relay-log-dropped", text, [id]));
    }
    if !found.is_empty() {
        report.note(Code::AcknowledgementsNotDurable, id, severity, found);
    }
}

fn after_commit(id: &ServerId, semi_sync: &SemiSync) -> Vec<Evidence> {
    if semi_sync.wait_point != Some(WaitPoint::AfterCommit) {
        return Vec::new();
    }
    let text = format!(
        "{id} waits AFTER_COMMIT: others read rows that no replica has yet, and a failover takes them back. Set the wait point to AFTER_SYNC."
    );
    vec![evidence("waits-after-commit", text, [id])]
}

/// With fewer acknowledgements than half of the replicas, a partition leaves a primary that commits
/// on one side, and too few replicas on the other to know what it committed.
fn waits_for_few(id: &ServerId, facts: &ServerFacts, semi_sync: &SemiSync) -> Vec<Evidence> {
    let (replicas, waits_for) = (semi_sync.clients, semi_sync.wait_for);
    let enough = replicas.div_ceil(2);
    if !semi_sync.source_active || waits_for >= enough {
        return Vec::new();
    }
    let remedy = match facts.flavor {
        Flavor::Mariadb => format!(
            "MariaDB waits for one whatever is set: leave the replica's side on at {} replicas",
            waits_for.saturating_mul(2)
        ),
        Flavor::Mysql | Flavor::Percona | Flavor::Other => format!("Set the count to {enough}"),
    };
    let text = format!(
        "{id} waits for {waits_for} of {replicas} replicas that acknowledge: with {waits_for} of them it goes on committing while the others are \
         cut off, and a failover to these needs a person. {remedy}."
    );
    vec![evidence("acknowledged-by-few", text, [id])]
}

/// Replicas that acknowledge and may not be promoted, if they alone can be enough for an
/// acknowledgement.
fn unpromotable(
    report: &mut ReportBuilder,
    acknowledgers: &[Acknowledger<'_>],
    semi_sync: &SemiSync,
) {
    let unpromotable: Vec<(&ServerId, Vec<&str>)> = acknowledgers
        .iter()
        .map(|acknowledger| (&acknowledger.server.id, why_unpromotable(acknowledger)))
        .filter(|(_, reasons)| !reasons.is_empty())
        .collect();
    let count = u32::try_from(unpromotable.len()).unwrap_or(u32::MAX);
    if count < semi_sync.wait_for {
        return;
    }
    for (id, reasons) in unpromotable {
        let text = format!(
            "{id} acknowledges and may not be promoted ({}): what it alone has, a failover has to fetch from it or lose.",
            reasons.join(", ")
        );
        let found = vec![evidence("acknowledger-not-promotable", text, [id])];
        report.note(Code::UnfitAcknowledger, id, Severity::Warning, found);
    }
}

fn why_unpromotable(acknowledger: &Acknowledger<'_>) -> Vec<&'static str> {
    let Acknowledger {
        server,
        facts,
        edge,
    } = acknowledger;
    let mut reasons = declared(server);
    if edge.channel.filtered {
        reasons.push(Ineligible::Filtered);
    }
    reasons.extend(logging(facts));
    let mut codes: Vec<&str> = reasons.iter().map(Ineligible::word).collect();
    if !edge.channel.delay.is_zero() {
        codes.push("delayed");
    }
    codes
}

/// A replica whose source's side is on waits for acknowledgements of what it applies. Where fewer
/// replicas follow it than it waits for, its applier stands still until its time limit is over
/// (1,600 transactions received, none applied in 10 s).
fn replicas_that_wait(cx: &Context<'_>, report: &mut ReportBuilder) {
    for server in cx.servers() {
        let Some(facts) = cx.current(&server.id) else {
            continue;
        };
        if !waits_as_replica(cx, server, facts) {
            continue;
        }
        let id = &server.id;
        let text = format!(
            "{id} is a replica and waits for acknowledgements of what it applies, which too few replicas of its own give it. Switch its source's side off."
        );
        let found = vec![evidence("source-side-on", text, [id])];
        let code = Code::ReplicaWaitsForAcknowledgements;
        report.note(code, id, Severity::Warning, found);
    }
}

fn waits_as_replica(cx: &Context<'_>, server: &Server, facts: &ServerFacts) -> bool {
    let waits = facts.semi_sync.as_ref().is_some_and(|semi_sync| {
        semi_sync.source_enabled && semi_sync.clients < semi_sync.wait_for
    });
    waits
        && !cx.is_primary(&server.id)
        && facts.read_only
        && facts.log_updates
        && cx.has_member_source(&server.id)
}

/// A failover made it the primary, and its predecessor waited for acknowledgements: the step that
/// was to have it wait, too, failed, or nobody came to send it.
fn does_not_wait(
    cx: &Context<'_>,
    report: &mut ReportBuilder,
    primary: &Server,
    facts: &ServerFacts,
) {
    let replaced = was_to_wait(cx.snapshot).filter(|_| facts.is_writable());
    let Some(replaced) = replaced else { return };
    let id = &primary.id;
    let text = format!(
        "{id} does not wait for acknowledgements, {}, which it replaced, did: what it tells its clients to be committed may be lost with it.",
        listed([replaced])
    );
    let found = vec![evidence("source-side-off", text, [id])];
    report.note(Code::PrimaryDoesNotWait, id, Severity::Warning, found);
}
