//! The last answers of the shared store, for the time in which it does not answer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_core::ids::{ClusterId, RecoveryId, ServerId};
use baton_core::model::{Downtime, PromotionRule};
use baton_core::time::WallTime;
use baton_ports::{ClusterRecord, RecoveryRecord, Route, ServerRecord};
use tokio::time::Instant;

use crate::port::NEWEST;

/// The last answer to one query. Of two answers, that of the later query is newer, whichever
/// arrived first. The answer to a query that was sent before a change is treated as older than the
/// change.
#[derive(Debug)]
pub(crate) struct Copy<T>(Mutex<Kept<T>>);

#[derive(Debug)]
struct Kept<T> {
    answer: Option<(T, Instant)>,
    /// Queries sent so far.
    asked: u64,
    /// Answers to queries up to this one are not newer than what is kept.
    known: u64,
}

/// The number of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked(u64);

impl<T> Default for Copy<T> {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            answer: None,
            asked: 0,
            known: 0,
        }))
    }
}

impl<T: Clone> Copy<T> {
    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called before the shared store is asked.
    pub(crate) fn ask(&self) -> Asked {
        let mut kept = self.lock();
        kept.asked += 1;
        Asked(kept.asked)
    }

    /// Keeps an answer and gives the newest one, which may be another.
    pub(crate) fn keep(&self, asked: Asked, answer: T) -> T {
        let mut kept = self.lock();
        if asked.0 > kept.known {
            kept.known = asked.0;
            kept.answer = Some((answer.clone(), Instant::now()));
            return answer;
        }
        kept.answer
            .as_ref()
            .map_or(answer, |(newer, _)| newer.clone())
    }

    /// Replaces the answer.
    pub(crate) fn set(&self, answer: T) {
        let mut kept = self.lock();
        kept.known = kept.asked;
        kept.answer = Some((answer, Instant::now()));
    }

    /// Applies a change to the answer.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        let mut kept = self.lock();
        kept.known = kept.asked;
        if let Some((value, _)) = kept.answer.as_mut() {
            change(value);
        }
    }

    /// The answer, if it is not older than that.
    pub(crate) fn within(&self, age_max: Duration) -> Option<T> {
        let kept = self.lock();
        let fresh = kept
            .answer
            .as_ref()
            .filter(|(_, at)| at.elapsed() <= age_max);
        fresh.map(|(value, _)| value.clone())
    }
}

/// The last answers.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    pub(crate) switch: Copy<bool>,
    pub(crate) servers: Copy<Vec<ServerRecord>>,
    pub(crate) clusters: Copy<Vec<ClusterRecord>>,
    pub(crate) downtimes: Copy<Vec<(ServerId, Downtime)>>,
    pub(crate) routes: Copy<Vec<Route>>,
    /// The newest recoveries of all clusters.
    pub(crate) recoveries: Copy<Vec<RecoveryRecord>>,
}

/// What this node recorded since the last answers. Without it, a recovery that only the shared
/// store has would be unknown, or still running, if the next answer does not come.
impl Copies {
    pub(crate) fn begin(&self, row: &RecoveryRecord, number: i64) {
        self.recoveries.change(|rows| {
            rows.retain(|known| known.id != row.id);
            let row = row.clone();
            rows.insert(0, RecoveryRecord { number, ..row });
            rows.truncate(usize::try_from(NEWEST).unwrap_or(usize::MAX));
        });
    }

    pub(crate) fn update(&self, row: &RecoveryRecord) {
        self.recoveries.change(|rows| {
            if let Some(known) = rows.iter_mut().find(|known| known.id == row.id) {
                let acknowledged = known.acknowledged.take();
                let (number, row) = (known.number, row.clone());
                *known = RecoveryRecord {
                    number,
                    acknowledged,
                    ..row
                };
            }
        });
    }
}

/// What operators set since the last answers. A later failure of the store must not undo it.
impl Copies {
    pub(crate) fn set_downtime(&self, id: &ServerId, downtime: Option<&Downtime>) {
        self.downtimes.change(|rows| {
            rows.retain(|(server, _)| server != id);
            rows.extend(downtime.map(|downtime| (id.clone(), downtime.clone())));
        });
    }

    pub(crate) fn set_promotion(
        &self,
        id: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
    ) {
        self.change_server(id, |row| {
            row.promotion = rule;
            row.promotion_expires = expires;
        });
    }

    pub(crate) fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) {
        self.change_server(id, |row| row.quarantine = errant.map(str::to_owned));
    }

    fn change_server(&self, id: &ServerId, change: impl FnOnce(&mut ServerRecord)) {
        self.servers.change(|rows| {
            if let Some(row) = rows.iter_mut().find(|row| row.id == *id) {
                change(row);
            }
        });
    }

    pub(crate) fn forget_server(&self, id: &ServerId) {
        self.servers.change(|rows| rows.retain(|row| row.id != *id));
    }

    pub(crate) fn acknowledge(
        &self,
        (id, cluster): (Option<&RecoveryId>, Option<&ClusterId>),
        said: &(String, WallTime, String),
    ) {
        self.recoveries.change(|rows| {
            let meant = rows.iter_mut().filter(|row| {
                row.ended.is_some()
                    && row.acknowledged.is_none()
                    && id.is_none_or(|id| row.id == *id)
                    && cluster.is_none_or(|cluster| row.cluster == *cluster)
            });
            for row in meant {
                row.acknowledged = Some(said.clone());
            }
        });
    }
}
