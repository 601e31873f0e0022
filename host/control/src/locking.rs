//! Locks held for a lookup or an update, never across an await. A panic elsewhere does not make
//! what they guard wrong: each update is complete before the lock is given back.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
