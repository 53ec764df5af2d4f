//! How often a node looks at its subnet (DescribeSubnets), so that it holds less where little is left.

use std::time::Duration;

use crate::plan::Subnet;

/// Between two looks. DescribeSubnets has a bucket of 100 calls with 20 a second (EC2 API, "Request throttling"), for all
/// nodes and other users of the account: 600 nodes take half of it.
pub const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The same by the free share of the subnet, in hundredths, where the node needs addresses or could give some: what is
/// believed to be free may be gone within the time (simulated: when pods move from half of the nodes of a tight subnet to
/// the other half, a minute between looks makes the last ones wait twice as long).
const CLOSER: [(u64, Duration); 2] = [(20, Duration::from_secs(10)), (50, Duration::from_secs(20))];

impl Subnet {
    /// How soon a node with a stake in it looks again.
    pub fn look_after(self) -> Duration {
        let below = |share: u64| u64::from(self.free) * 100 < u64::from(self.size) * share;
        let closer = CLOSER.into_iter().find(|(share, _)| below(*share));
        closer.map_or(LOOK_EVERY, |(_, wait)| wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuller_the_sooner() {
        let after = |free| Subnet { free, size: 200 }.look_after().as_secs();
        assert_eq!(
            [0, 39, 40, 99, 100, 200].map(after),
            [10, 10, 20, 20, 60, 60]
        );
        assert_eq!(Subnet { free: 0, size: 0 }.look_after(), LOOK_EVERY);
    }
}
