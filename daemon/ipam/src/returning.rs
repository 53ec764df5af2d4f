//! Who gave up waiting for an address and will come again: a runtime tries an ADD that failed once more, and what it will
//! want then is asked for meanwhile.

use std::time::Duration;

use crate::time::Timestamp;

/// How long the demand of an ADD that timed out is kept: kubelet comes again after about 10 s, containerd's own
/// back-off included well within this.
pub const REMEMBER: Duration = Duration::from_secs(30);

/// Those who gave up, by whatever tells them apart. Not durable: after a restart they come again or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returning<N> {
    gave_up: Vec<(N, Timestamp)>,
}

impl<N> Default for Returning<N> {
    fn default() -> Self {
        Self {
            gave_up: Vec::new(),
        }
    }
}

impl<N: PartialEq> Returning<N> {
    /// One gave up.
    pub fn gave_up(&mut self, who: N, now: Timestamp) {
        self.came(&who);
        self.gave_up.push((who, now.after(REMEMBER)));
    }

    /// One has come again.
    pub fn came(&mut self, who: &N) {
        self.gave_up.retain(|(other, _)| other != who);
    }

    /// Those who did not come in time will not.
    pub fn forget(&mut self, now: Timestamp) {
        self.gave_up.retain(|(_, until)| *until > now);
    }

    /// Who will come.
    pub fn iter(&self) -> impl Iterator<Item = &N> {
        self.gave_up.iter().map(|(who, _)| who)
    }

    /// Who will come, each with the time at which it is forgotten.
    pub fn until(&self) -> impl Iterator<Item = (&N, Timestamp)> {
        self.gave_up.iter().map(|(who, until)| (who, *until))
    }

    /// How many will.
    pub fn count(&self) -> u32 {
        u32::try_from(self.gave_up.len()).unwrap_or(u32::MAX)
    }

    /// When the next of them is forgotten.
    pub fn next(&self) -> Option<Timestamp> {
        self.gave_up.iter().map(|(_, until)| *until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_minute_each_unless_they_come() {
        let at = Timestamp::from_secs;
        let mut returning = Returning::default();
        returning.gave_up("a", at(0));
        returning.gave_up("b", at(10));
        returning.gave_up("a", at(12));
        assert_eq!((returning.count(), returning.next()), (2, Some(at(40))));
        returning.forget(at(39));
        assert_eq!(returning.count(), 2);
        returning.forget(at(40));
        assert!(returning.iter().eq(["a"].iter()));
        returning.came(&"a");
        assert_eq!((returning.count(), returning.next()), (0, None));
    }
}
