//! Which of several concurrent readings of the store counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Readings of the store, numbered when they begin. The one that began last counts. It holds every
/// order that was answered before it began; a reading that began earlier and ends later may lack
/// the order. The same holds for this node's own changes.
#[derive(Debug, Default)]
pub(crate) struct Readings(Mutex<Numbers>);

#[derive(Debug, Default)]
pub(crate) struct Numbers {
    begun: u64,
    /// Readings up to this number are outdated.
    past: u64,
}

impl Readings {
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Call this before reading; gives the reading's number.
    pub(crate) fn begin(&self) -> u64 {
        let mut numbers = self.lock();
        numbers.begun += 1;
        numbers.begun
    }

    /// Hold the guard while the reading is taken over; `None` if the reading is outdated.
    pub(crate) fn take(&self, reading: u64) -> Option<MutexGuard<'_, Numbers>> {
        let mut numbers = self.lock();
        if reading <= numbers.past {
            return None;
        }
        numbers.past = reading;
        Some(numbers)
    }

    /// Hold the guard while memory takes over a change that the store has already: readings that
    /// began before are outdated.
    pub(crate) fn outdate(&self) -> MutexGuard<'_, Numbers> {
        let mut numbers = self.lock();
        numbers.past = numbers.begun;
        numbers
    }
}
