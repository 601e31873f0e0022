//! Two nodes, each the other's replica.

use baton_core::model::{ServerFacts, ThreadState};
use baton_ports::{BackendCondition, BackendFacts, ConditionWord};

use super::{Subject, Verdict};
use crate::facts::channel;
use crate::progress::Standing;

/// True if the server takes writes from ordinary accounts.
pub(crate) fn is_writable(facts: &ServerFacts) -> bool {
    !facts.read_only && facts.super_read_only != Some(true)
}

/// Adds what follows from the two together.
pub(super) fn judge(subjects: &[Subject<'_>], verdicts: &mut [Verdict]) {
    let facts: Vec<Option<&ServerFacts>> = subjects
        .iter()
        .map(|subject| pair_facts(*subject))
        .collect();
    for (at, (subject, verdict)) in subjects.iter().zip(verdicts).enumerate() {
        let Some(own) = facts.get(at).copied().flatten() else {
            continue;
        };
        let others = || facts.iter().enumerate().filter(|(other, _)| *other != at);
        let mut say =
            |word, text: &str| verdict.against(BackendCondition::of(word, subject.address, text));
        if others().any(|(_, other)| other.is_some_and(|other| other.uid == own.uid)) {
            say(
                ConditionWord::SameServer,
                "is the same server as another node of the list: correct the addresses, or give it its own identity",
            );
        }
        if !is_writable(own) {
            say(
                ConditionWord::ReadOnly,
                "is the passive node: writes go to the other one",
            );
        } else if others().any(|(_, other)| other.is_some_and(is_writable)) {
            say(
                ConditionWord::BothWritable,
                "takes writes and so does the other node, which forks the state: \
                 SET GLOBAL read_only=1 on the one whose last changes may be lost",
            );
        }
        let other = others().find_map(|(_, other)| *other);
        replication(subject, (own, other), verdict);
    }
}

/// Facts that still hold: of a node that answers, or did a moment ago.
pub(crate) fn pair_facts(subject: Subject<'_>) -> Option<&ServerFacts> {
    let holds = matches!(
        subject.progress.standing(),
        Standing::Answering | Standing::Suspect
    );
    match subject.progress.facts() {
        Some(BackendFacts::Pair(facts)) if holds => Some(facts),
        _ => None,
    }
}

fn replication(
    subject: &Subject<'_>,
    (own, other): (&ServerFacts, Option<&ServerFacts>),
    verdict: &mut Verdict,
) {
    let mut note = |text: &str| {
        verdict.notes.push(BackendCondition::of(
            ConditionWord::NotReplicating,
            subject.address,
            text,
        ));
    };
    let Some(channel) = channel(own) else {
        note(
            "follows no other server: point it at the other node, or a failure of that one loses everything since",
        );
        return;
    };
    if let Some(error) = &channel.applier_error {
        let text = format!(
            "has stopped applying the other node's changes with error {}: the two may differ, compare them before anything else",
            error.number
        );
        note(&text);
    } else if channel.applier != ThreadState::Running {
        note("does not apply the other node's changes: START REPLICA (MariaDB: START SLAVE)");
    } else if channel.receiver != ThreadState::Running && other.is_some() {
        note("is not connected to the other node: see the receiver's error there");
    }
    if let (Some(id), Some(other)) = (channel.source_server_id, other)
        && id != 0
        && id != other.server_id
    {
        let text = format!(
            "follows the server with id {id}, which is not the other node of the list (id {}): correct the list, or the channel",
            other.server_id
        );
        verdict.against(BackendCondition::of(
            ConditionWord::ForeignCluster,
            subject.address,
            &text,
        ));
    }
}
