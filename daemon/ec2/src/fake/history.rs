//! What the fake cloud looked like some time ago: EC2's Describe and instance metadata both answer from the past.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::port::NetworkInterface;

/// All ENIs by id.
pub(super) type Enis = BTreeMap<String, NetworkInterface>;

/// How far back a view may lie. Staleness seen in the field is seconds to a few minutes.
const HORIZON: Duration = Duration::from_secs(3600);

/// The states of the cloud, oldest first; never empty.
pub(super) struct History {
    first: Enis,
    changes: Vec<(Instant, Enis)>,
}

impl History {
    pub(super) fn new(first: Enis) -> Self {
        Self {
            first,
            changes: Vec::new(),
        }
    }

    /// Records the state that holds from `now` on.
    pub(super) fn record(&mut self, now: Instant, enis: Enis) {
        let forgotten = self
            .changes
            .partition_point(|(at, _)| now.duration_since(*at) > HORIZON);
        if let Some((_, last)) = self.changes.drain(..forgotten).next_back() {
            self.first = last;
        }
        self.changes.push((now, enis));
    }

    /// The state as it was `age` before `now`.
    pub(super) fn seen(&self, now: Instant, age: Duration) -> &Enis {
        let known = self
            .changes
            .partition_point(|(at, _)| now.duration_since(*at) >= age);
        match known.checked_sub(1).and_then(|last| self.changes.get(last)) {
            Some((_, enis)) => enis,
            None => &self.first,
        }
    }
}
