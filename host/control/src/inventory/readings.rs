//! Which of several readings of the store, under way at once, counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Readings of the store, numbered as they begin. The one that began last counts: what an operator
/// was answered is in every reading that began after it, and need not be in one that began before
/// and ends later. The same holds for what this node did itself.
#[derive(Debug, Default)]
pub(crate) struct Readings(Mutex<Numbers>);

#[derive(Debug, Default)]
pub(crate) struct Numbers {
    begun: u64,
    /// Up to this one, readings do not count any more.
    past: u64,
}

impl Readings {
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called before anything is read; gives the reading's number.
    pub(crate) fn begin(&self) -> u64 {
        let mut numbers = self.lock();
        numbers.begun += 1;
        numbers.begun
    }

    /// To be held while what was read is taken over; `None` if it does not count any more.
    pub(crate) fn take(&self, reading: u64) -> Option<MutexGuard<'_, Numbers>> {
        let mut numbers = self.lock();
        if reading <= numbers.past {
            return None;
        }
        numbers.past = reading;
        Some(numbers)
    }

    /// To be held while something is changed that is in the store already: readings that began
    /// before it do not count any more.
    pub(crate) fn outdate(&self) -> MutexGuard<'_, Numbers> {
        let mut numbers = self.lock();
        numbers.past = numbers.begun;
        numbers
    }
}
