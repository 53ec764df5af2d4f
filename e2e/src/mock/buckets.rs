//! EC2's throttling: a token bucket per action for the whole account, as `RateLimits` says.

use std::collections::BTreeMap;
use std::time::Instant;

use super::config::RateLimits;

/// The buckets, all full at first.
#[derive(Debug)]
pub(crate) struct Buckets {
    limits: RateLimits,
    levels: BTreeMap<String, (f64, Instant)>,
}

impl Buckets {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self {
            limits,
            levels: BTreeMap::new(),
        }
    }

    /// Takes a token. False means that the call is to be throttled.
    pub(crate) fn admit(&mut self, action: &str, now: Instant) -> bool {
        let Some((bucket, refill)) = self.limits.by_action.get(action).copied() else {
            return true;
        };
        let (level, since) = self
            .levels
            .get(action)
            .copied()
            .unwrap_or((f64::from(bucket), now));
        let gained = now.duration_since(since).as_secs_f64() * f64::from(refill);
        let level = (level + gained).min(f64::from(bucket));
        let admitted = level >= 1.0;
        let left = if admitted { level - 1.0 } else { level };
        self.levels.insert(action.to_owned(), (left, now));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let mut limits = RateLimits::default();
        limits.by_action.insert("CreateTags".to_owned(), (2, 10));
        let mut buckets = Buckets::new(limits);
        let start = Instant::now();
        assert!(buckets.admit("CreateTags", start));
        assert!(buckets.admit("CreateTags", start));
        assert!(!buckets.admit("CreateTags", start));
        assert!(!buckets.admit("CreateTags", start + Duration::from_millis(50)));
        assert!(buckets.admit("CreateTags", start + Duration::from_millis(150)));
        assert!(buckets.admit("DescribeSubnets", start));
    }
}
