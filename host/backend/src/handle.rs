//! How the rest of the program speaks with the loop.

use std::sync::Arc;

use baton_ports::{BackendStatus, Target};
use tokio::sync::{mpsc, watch};

use crate::question::PeerKnowledge;

/// Reports that wait; more say nothing new.
pub(crate) const REPORTS_MAX: usize = 64;

/// A statement that failed on the node in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Generation of the target it was sent to.
    pub(crate) generation: u64,
    /// `unknown-outcome`, `refused`, ...
    pub(crate) class: String,
}

/// To publish from and to tell. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BackendHandle {
    pub(crate) targets: watch::Receiver<Option<Target>>,
    pub(crate) status: watch::Receiver<Arc<BackendStatus>>,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) leader: watch::Sender<bool>,
    pub(crate) epoch: watch::Sender<u64>,
    pub(crate) peers: watch::Sender<PeerKnowledge>,
    pub(crate) copies: watch::Sender<Vec<String>>,
    pub(crate) accept: mpsc::Sender<()>,
    pub(crate) look: mpsc::Sender<()>,
}

impl BackendHandle {
    /// The node to use, as it changes. `None` = none is fit: stop writing.
    pub fn targets(&self) -> watch::Receiver<Option<Target>> {
        self.targets.clone()
    }

    /// For people and the API, as it changes.
    pub fn status(&self) -> watch::Receiver<Arc<BackendStatus>> {
        self.status.clone()
    }

    /// A statement sent to the target of that generation failed: the node is probed again at once,
    /// and the selector asked.
    pub fn report(&self, generation: u64, class: &str) {
        let report = Report {
            generation,
            class: class.to_owned(),
        };
        if self.reports.try_send(report).is_err() {
            tracing::debug!("the watch over the backend has reports enough");
        }
    }

    /// Something changed on the nodes: all are probed again at once.
    pub fn look(&self) {
        // One that waits already is enough.
        self.look.try_send(()).unwrap_or_default();
    }

    /// This Baton node holds a lease, or does not any more.
    pub fn set_leader(&self, leader: bool) {
        self.leader
            .send_if_modified(|known| std::mem::replace(known, leader) != leader);
    }

    /// A lease epoch that was seen, on whatever way. The highest is remembered.
    pub fn note_epoch(&self, epoch: u64) {
        self.epoch.send_if_modified(|highest| {
            let higher = epoch > *highest;
            *highest = epoch.max(*highest);
            higher
        });
    }

    /// How other Baton nodes see and use the nodes.
    pub fn set_peers(&self, peers: PeerKnowledge) {
        self.peers.send_if_modified(|known| {
            let changed = *known != peers;
            *known = peers;
            changed
        });
    }

    /// Names of the backends to which the whole state was copied, beside the one that holds it:
    /// only these may take over.
    pub fn set_copies(&self, backends: Vec<String>) {
        self.copies.send_if_modified(|known| {
            let changed = *known != backends;
            *known = backends;
            changed
        });
    }

    /// A person accepts that epochs, tables or clusters seen before are gone for good. What is
    /// there now is taken as it is.
    pub fn accept_history(&self) {
        // One that waits already is enough.
        self.accept.try_send(()).unwrap_or_default();
    }
}
