//! What operators said: a server in downtime or maintenance is reported on, and nothing is done about it.

use super::report::{Code, Finding, ProbeRequest};
use super::scene::{Scene, evidence, listed};
use crate::ids::ServerId;
use crate::model::Server;
use crate::policy::Suggestion;

/// Turns `Act` and `Wait` into `Hold` where operators said so.
pub(super) fn respect(scene: &Scene<'_>, findings: &mut [Finding]) {
    for finding in findings {
        let Some(server) = scene.server(&finding.server) else {
            continue;
        };
        let id = &finding.server;
        let mut reasons = Vec::new();
        if let Some(downtime) = server.downtime.as_ref().filter(|_| is_down(scene, server)) {
            let text = format!(
                "{id} is in downtime by {}: {}.",
                downtime.owner, downtime.reason
            );
            reasons.push(evidence("downtimed", text, [id]));
        }
        if server.maintenance {
            let text = format!("{id} is being worked on.");
            reasons.push(evidence("maintenance", text, [id]));
        }
        let replicas: Vec<&ServerId> = scene.replicas(id).into_iter().collect();
        let downtimed = |id: &&ServerId| scene.server(id).is_some_and(|s| is_down(scene, s));
        if is_about_replicas(finding.code) && !replicas.is_empty() && replicas.iter().all(downtimed)
        {
            let text = format!("{}: all in downtime.", listed(replicas.iter().copied()));
            reasons.push(evidence("replicas-downtimed", text, replicas));
        }
        if !reasons.is_empty() {
            finding.suggestion = Suggestion::Hold;
            finding.evidence.extend(reasons);
        }
    }
}

/// Reading is always allowed; a receiver is left alone where operators work.
pub(super) fn allows(scene: &Scene<'_>, probe: &ProbeRequest) -> bool {
    let ignored = |id: &ServerId| {
        scene
            .server(id)
            .is_none_or(|server| server.maintenance || is_down(scene, server))
    };
    match probe {
        ProbeRequest::ReadNow { .. } => true,
        ProbeRequest::ReconnectReceiver { server, source, .. } => {
            !ignored(source)
                && scene
                    .server(server)
                    .is_some_and(|server| !server.maintenance)
        }
    }
}

fn is_down(scene: &Scene<'_>, server: &Server) -> bool {
    scene.is_down(server)
}

/// Codes that only say something about the replicas of a source; if operators ignore all of these, nothing is left.
fn is_about_replicas(code: Code) -> bool {
    matches!(
        code,
        Code::PrimaryReplicasCannotConnect
            | Code::PrimaryReplicasStopped
            | Code::PrimaryReplicasStoppedOrDead
            | Code::PrimarySingleReplicaStopped
            | Code::PrimarySingleReplicaDead
            | Code::CoPrimaryReplicasStopped
            | Code::IntermediateDeadSingleReplica
            | Code::IntermediateDeadSingleReplicaCannotConnect
            | Code::IntermediateAndReplicasDead
            | Code::IntermediateAndSomeReplicasDead
            | Code::IntermediateReplicasCannotConnect
            | Code::IntermediateReplicasStopped
    )
}
