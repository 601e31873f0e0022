//! Answers of the shared store, corrected by what is on the local disk and not handed over yet.

use baton_core::ids::ClusterId;
use baton_core::model::RecoveryOutcome;
use baton_ports::{ClusterRecord, RecoveryRecord, Route, StepRecord};

use crate::disk::Mirror;

/// A part of the list of recoveries.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) cluster: Option<&'a ClusterId>,
    pub(crate) skip: u32,
    pub(crate) limit: u32,
}

impl Page<'_> {
    pub(crate) const ALL: Self = Page {
        cluster: None,
        skip: 0,
        limit: u32::MAX,
    };

    /// The part of a list of all.
    pub(crate) fn of(&self, all: Vec<RecoveryRecord>) -> Vec<RecoveryRecord> {
        let of_cluster = all.into_iter().filter(|row| self.has(row));
        of_cluster
            .skip(size(self.skip))
            .take(size(self.limit))
            .collect()
    }

    fn has(&self, row: &RecoveryRecord) -> bool {
        self.cluster.is_none_or(|cluster| row.cluster == *cluster)
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// One recovery that both stores have. The later epoch counts; within one epoch, the local disk was
/// written first.
pub(crate) fn recovery(shared: RecoveryRecord, mirror: &Mirror) -> RecoveryRecord {
    let local = mirror.recoveries.get(&shared.id);
    let Some(local) = local.filter(|local| mirror.unsent.contains_key(&local.id)) else {
        return shared;
    };
    let is_running = local.outcome == RecoveryOutcome::Running;
    let has_ended = shared.outcome != RecoveryOutcome::Running;
    if shared.epoch > local.epoch || (has_ended && is_running) {
        return shared;
    }
    RecoveryRecord {
        number: shared.number,
        acknowledged: shared.acknowledged,
        ..local.clone()
    }
}

/// Recoveries, newest first. Those that the shared store lacks come first on the first page.
pub(crate) fn recoveries(
    shared: Vec<RecoveryRecord>,
    mirror: &Mirror,
    page: Page<'_>,
) -> Vec<RecoveryRecord> {
    let mut rows: Vec<RecoveryRecord> = shared
        .into_iter()
        .map(|row| recovery(row, mirror))
        .collect();
    if mirror.unsent.is_empty() || page.skip > 0 {
        return rows;
    }
    let newest = rows.iter().map(|row| row.number).max().unwrap_or(0);
    let mut local = local_only(mirror, &rows);
    local.retain(|row| page.has(row));
    for row in &mut local {
        // The number on the local disk means nothing here. In the shared store it will be greater
        // than all that are there.
        row.number = row.number.saturating_add(newest);
    }
    rows.splice(0..0, local);
    rows.truncate(size(page.limit));
    rows
}

/// Running recoveries, oldest first.
pub(crate) fn running(shared: Vec<RecoveryRecord>, mirror: &Mirror) -> Vec<RecoveryRecord> {
    let mut rows: Vec<RecoveryRecord> = shared
        .into_iter()
        .map(|row| recovery(row, mirror))
        .collect();
    let mut local = local_only(mirror, &rows);
    local.reverse();
    rows.extend(local);
    rows.retain(|row| row.outcome == RecoveryOutcome::Running);
    rows
}

/// Not handed over and not in the list; newest first.
fn local_only(mirror: &Mirror, known: &[RecoveryRecord]) -> Vec<RecoveryRecord> {
    let is_new = |row: &&RecoveryRecord| {
        mirror.unsent.contains_key(&row.id) && !known.iter().any(|known| known.id == row.id)
    };
    let mut rows: Vec<RecoveryRecord> =
        mirror.recoveries.values().filter(is_new).cloned().collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.started, row.number)));
    rows
}

/// Lines of a journal.
pub(crate) fn steps(mut shared: Vec<StepRecord>, local: Vec<StepRecord>) -> Vec<StepRecord> {
    let last = shared.last().map_or(0, |step| step.number);
    for step in local {
        if !shared.iter().any(|known| known.entry == step.entry) {
            let number = step.number.saturating_add(last);
            shared.push(StepRecord { number, ..step });
        }
    }
    shared
}

/// Clusters, with the intended primary of the later epoch.
pub(crate) fn clusters(mut shared: Vec<ClusterRecord>, mirror: &Mirror) -> Vec<ClusterRecord> {
    for row in &mut shared {
        if let Some(local) = newer_cluster(row, mirror) {
            row.primary.clone_from(&local.primary);
            row.primary_epoch = local.primary_epoch;
        }
    }
    shared
}

/// The record of a cluster on the local disk, if it is newer. An epoch has one holder, so what this
/// node last wrote under it is the latest.
pub(crate) fn newer_cluster<'a>(
    row: &ClusterRecord,
    mirror: &'a Mirror,
) -> Option<&'a ClusterRecord> {
    let local = mirror.clusters.get(&row.id);
    let unsent = mirror.intents_unsent.is_some();
    local.filter(|local| {
        let differs = local.primary != row.primary;
        let later = local.primary_epoch > row.primary_epoch;
        later || (unsent && differs && local.primary_epoch == row.primary_epoch)
    })
}

/// Routes, each of the later epoch.
pub(crate) fn routes(shared: Vec<Route>, mirror: &Mirror) -> Vec<Route> {
    let newer = newer_routes(&shared, mirror);
    let is_replaced = |route: &Route| newer.iter().any(|newer| newer.key == route.key);
    let mut routes: Vec<Route> = shared
        .into_iter()
        .filter(|route| !is_replaced(route))
        .collect();
    routes.extend(newer);
    routes.sort_by(|one, other| one.key.cmp(&other.key));
    routes
}

/// Routes of the local disk that are newer.
pub(crate) fn newer_routes(shared: &[Route], mirror: &Mirror) -> Vec<Route> {
    if mirror.intents_unsent.is_none() {
        return Vec::new();
    }
    let is_known = |local: &Route| {
        let same = shared.iter().find(|route| route.key == local.key);
        same.is_some_and(|route| route == local || route.epoch > local.epoch)
    };
    mirror
        .routes
        .values()
        .filter(|local| !is_known(local))
        .cloned()
        .collect()
}
