//! A mutex that goes on after a panic of another holder: a failed assertion in one test task must not hide behind
//! a second panic here.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A value behind a mutex. Held for short, never across an await.
#[derive(Debug, Default)]
pub(crate) struct Guarded<T>(Mutex<T>);

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
