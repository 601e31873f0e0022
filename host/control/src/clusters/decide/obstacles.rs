//! The host's own rules: what stops a recovery, whatever the policy answers.

use baton_core::analysis::Finding;
use baton_core::model::{RecoveryKind, Snapshot, Switch};
use baton_core::planning::Reason;
use baton_core::policy::Suggestion;

/// The obstacles that the snapshot alone shows.
pub(super) fn host_obstacles(
    snapshot: &Snapshot,
    finding: &Finding,
    kind: RecoveryKind,
) -> Vec<Reason> {
    let mut found = Vec::new();
    let mut add = |code: &str, text: String| {
        found.push(Reason {
            code: code.to_owned(),
            text,
            about: vec![finding.server.clone()],
        });
    };
    let control = &snapshot.control;
    if !control.automatic {
        add(
            "not-automatic",
            format!(
                "cluster {} is not among those recovered without a person (recovery.automatic)",
                snapshot.cluster.name
            ),
        );
    }
    match control.enabled {
        Switch::On => {}
        Switch::Off => add(
            "switched-off",
            "recoveries are switched off globally".to_owned(),
        ),
        Switch::Unreadable => {
            add(
                "switch-unreadable",
                "the global switch cannot be read, which means off".to_owned(),
            );
        }
    }
    if control.lease.is_none() {
        add("no-lease", "this node does not hold the lease".to_owned());
    }
    if let Some(active) = &control.active {
        add(
            "active-recovery",
            format!("{} {} is under way", active.kind.word(), active.id),
        );
    }
    let subject = snapshot.servers.get(&finding.server);
    if let Some(downtime) = subject.and_then(|server| server.downtime.as_ref())
        && kind != RecoveryKind::Rejoin
    {
        add(
            "downtimed",
            format!(
                "{} is downtimed by {}: {}",
                finding.server, downtime.owner, downtime.reason
            ),
        );
    }
    if finding.suggestion == Suggestion::Hold {
        found.extend(finding.evidence.iter().cloned().map(Reason::from));
    }
    found
}
