//! What all nodes of a cluster share in Cilium: the operator, which alone talks to EC2, behind a rate limit of its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ipam::Timestamp;

/// `--limit-ipam-api-burst` and `--limit-ipam-api-qps`, their defaults (cilium-operator's command reference, 1.18).
const BURST: f64 = 20.0;
const PER_SECOND: f64 = 4.0;

/// What it knows of EC2 is refreshed after a change, at most once in a second ("AWS ENI", Cache of ENIs, Subnets, and VPCs).
const REFRESH: Duration = Duration::from_secs(1);

/// The operator of one cluster; its clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Operator(Rc<RefCell<State>>);

#[derive(Clone, Copy, Debug)]
struct State {
    /// Calls that may be made now; less than none if some have been promised already.
    tokens: f64,
    counted: Timestamp,
    refresh: Option<Timestamp>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            tokens: BURST,
            counted: Timestamp::default(),
            refresh: None,
        }
    }
}

impl Operator {
    /// Reserves a call; answers when it is made. First come, first served, as Go's `rate.Limiter` has it.
    pub(super) fn reserve(&self, now: Timestamp) -> Timestamp {
        let mut state = self.0.borrow_mut();
        let refill = now.since(state.counted).as_secs_f64() * PER_SECOND;
        state.tokens = (state.tokens + refill).min(BURST) - 1.0;
        state.counted = now;
        now.after(Duration::from_secs_f64(
            (-state.tokens).max(0.0) / PER_SECOND,
        ))
    }

    /// When what has changed now is known and told to the nodes.
    pub(super) fn refreshes(&self, now: Timestamp) -> Timestamp {
        let mut state = self.0.borrow_mut();
        let at = match state.refresh {
            Some(planned) if planned >= now => planned,
            Some(last) => last.after(REFRESH).max(now),
            None => now,
        };
        state.refresh = Some(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_queue_behind_the_limit() {
        let operator = Operator::default();
        let now = Timestamp::from_secs(1000);
        let waits: Vec<Duration> = (0..28)
            .map(|_| operator.clone().reserve(now).since(now))
            .collect();
        assert_eq!(waits[..20], [Duration::ZERO; 20]);
        assert_eq!(waits[20], Duration::from_millis(250));
        assert_eq!(waits[27], Duration::from_secs(2));
        let later = now.after(Duration::from_secs(3));
        assert_eq!(operator.reserve(later), later, "the queue has drained");
    }

    #[test]
    fn changes_of_one_second_are_told_together() {
        let operator = Operator::default();
        let at = |ms| Timestamp::from_secs(1000).after(Duration::from_millis(ms));
        let told = [0, 100, 900, 1_000, 1_100, 5_000].map(|ms| operator.refreshes(at(ms)));
        assert_eq!(told, [0, 1_000, 1_000, 1_000, 2_000, 5_000].map(at));
    }
}
