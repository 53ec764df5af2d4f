//! What plans remember of the past besides the pool itself: when a pod came last, and since when how much was too much.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::eni::EniId;
use crate::time::Timestamp;

/// The recent past of a node's demand. Not durable: after a restart the ages begin anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    started: Option<Timestamp>,
    last_pod: Option<Timestamp>,
    /// Since when the surplus has been at least so many, one less than its place: the longest first.
    levels: Vec<Timestamp>,
    /// Since when there have been fewer free ones than there should be, though enough for all pods.
    short: Option<Timestamp>,
    /// Since when each ENI has had no pod.
    idle: BTreeMap<EniId, Timestamp>,
}

impl History {
    /// Takes in that there is a plan at `now`: the first one is the start.
    pub(crate) fn planned(&mut self, now: Timestamp) {
        self.started.get_or_insert(now);
    }

    /// Takes in that a pod came, or waited, at `when`.
    pub(crate) fn pod_came(&mut self, when: Timestamp) {
        self.last_pod = self.last_pod.max(Some(when));
    }

    /// Whether no pod has come since the start.
    pub fn is_fresh(&self) -> bool {
        self.last_pod.is_none()
    }

    /// When a pod came last; before the first one, when all began: a node starts because pods are about to come.
    pub fn last_pod(&self) -> Option<Timestamp> {
        self.last_pod.or(self.started)
    }

    /// Takes in how many free addresses are too many now.
    pub(crate) fn surplus(&mut self, surplus: u32, now: Timestamp) {
        self.levels.resize(surplus as usize, now);
    }

    /// Takes in that so many of them go now. What is left has been too much for as long as the levels above those.
    pub(crate) fn released(&mut self, count: u32) {
        let gone = self.levels.len().min(count as usize);
        self.levels.drain(..gone);
    }

    /// Since when the surplus has been at least one, at least two, and so on.
    pub fn levels(&self) -> &[Timestamp] {
        &self.levels
    }

    /// Takes in whether the reserve is short now; answers since when.
    pub(crate) fn is_short(&mut self, short: bool, now: Timestamp) -> Option<Timestamp> {
        self.short = short.then(|| self.short.unwrap_or(now));
        self.short
    }

    /// Takes in which ENIs have no pods now.
    pub(crate) fn without_pods(&mut self, enis: Vec<&EniId>, now: Timestamp) {
        self.idle.retain(|eni, _| enis.contains(&eni));
        for eni in enis {
            if !self.idle.contains_key(eni) {
                self.idle.insert(eni.clone(), now);
            }
        }
    }

    /// Since when an ENI has had no pod.
    pub fn idle_since(&self, eni: &EniId) -> Option<Timestamp> {
        self.idle.get(eni).copied()
    }

    /// How many addresses have been too many for `age`.
    pub fn older_than(&self, age: Duration, now: Timestamp) -> usize {
        self.levels
            .partition_point(|since| now.since(*since) >= age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn a_level_is_as_old_as_the_surplus_has_reached_it() {
        let mut history = History::default();
        history.surplus(2, at(10));
        history.surplus(4, at(20));
        history.surplus(3, at(30));
        assert_eq!(history.levels(), [at(10), at(10), at(20)]);
        // A dip makes what was dispensed with count anew.
        history.surplus(1, at(40));
        history.surplus(3, at(41));
        assert_eq!(history.levels(), [at(10), at(41), at(41)]);
        assert_eq!(history.older_than(Duration::from_secs(30), at(45)), 1);
    }

    #[test]
    fn what_goes_takes_the_oldest_levels_along() {
        let mut history = History::default();
        history.surplus(2, at(10));
        history.surplus(3, at(20));
        history.released(2);
        history.surplus(1, at(30));
        assert_eq!(history.levels(), [at(20)]);
        history.released(7);
        assert!(history.levels().is_empty());
    }
}
