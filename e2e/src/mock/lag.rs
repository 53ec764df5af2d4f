//! How far a reader lies behind what EC2 holds to be true: in one direction, in the other, or in both.

use std::ops::Add;
use std::time::Duration;

/// What Describe calls and instance metadata do not show yet, and what they still show. The same figure twice is a copy
/// of EC2 as it was so long ago; two figures are a copy that learns of one kind of change later than of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// What is new is shown only after so long.
    pub appear: Duration,
    /// What has gone is shown for so much longer.
    pub vanish: Duration,
}

impl From<Duration> for Lag {
    fn from(both: Duration) -> Self {
        Self {
            appear: both,
            vanish: both,
        }
    }
}

impl Add for Lag {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            appear: self.appear.saturating_add(other.appear),
            vanish: self.vanish.saturating_add(other.vanish),
        }
    }
}
