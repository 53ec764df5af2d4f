//! Writes of the checkpoint, counted and timed.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::{Metrics, OK};
use crate::store::{Document, Store, StoreError};

/// A store whose writes are counted.
#[derive(Debug)]
pub struct CountedStore<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> CountedStore<S> {
    /// Counts the writes to `inner`.
    pub fn new(inner: S, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }
}

#[async_trait]
impl<S: Store> Store for CountedStore<S> {
    async fn write(&self, document: Arc<dyn Document>) -> Result<(), StoreError> {
        let begun = Instant::now();
        let written = self.inner.write(document).await;
        let result = if written.is_ok() { OK } else { "failed" };
        self.metrics.checkpoint_written(result, begun.elapsed());
        written
    }
}
