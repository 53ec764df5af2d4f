//! Where a request's time went, for its log line and the metric: what it waited for, in the order of the docs.

use std::future::Future;
use std::time::Duration;

use ipam::Timestamp;

use crate::clock::Clock;
use crate::metrics::Metrics;

/// The parts of an ADD or a DEL. Checkpoint and netlink run side by side; the rest of its time is the way through the
/// daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// Until there was an address.
    pub wait: Duration,
    /// From the change of the state until it was on disk.
    pub checkpoint: Duration,
    /// From the order to the dataplane until its answer, other pods' turns before it included.
    pub netlink: Duration,
}

impl Split {
    /// Counts an ADD that was served.
    pub(super) fn observe_add(&self, metrics: &Metrics) {
        metrics.request_part("add", "wait", self.wait);
        self.observe("add", metrics);
    }

    /// Counts a DEL that was done.
    pub(super) fn observe_del(&self, metrics: &Metrics) {
        self.observe("del", metrics);
    }

    fn observe(&self, verb: &'static str, metrics: &Metrics) {
        metrics.request_part(verb, "checkpoint", self.checkpoint);
        metrics.request_part(verb, "netlink", self.netlink);
    }
}

/// Milliseconds, as the log has them.
pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What a future answers, and how long it took.
pub(super) async fn timed<T>(clock: &dyn Clock, work: impl Future<Output = T>) -> (T, Duration) {
    timed_since(clock, clock.now(), work).await
}

/// The same of what began before its future.
pub(super) async fn timed_since<T>(
    clock: &dyn Clock,
    begun: Timestamp,
    work: impl Future<Output = T>,
) -> (T, Duration) {
    let done = work.await;
    (done, clock.now().since(begun))
}
