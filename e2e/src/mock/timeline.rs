//! The states of the last minutes, so that lagging readers can be shown what was true a moment ago.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::State;

/// What is older than this is shown to nobody, however stale a read was asked for.
const KEPT: Duration = Duration::from_secs(300);

/// States by the time they came into being, oldest first; never empty.
#[derive(Debug)]
pub(crate) struct Timeline {
    now: Arc<State>,
    past: VecDeque<(Instant, Arc<State>)>,
}

impl Timeline {
    pub(crate) fn new(state: State) -> Self {
        Self {
            now: Arc::new(state),
            past: VecDeque::new(),
        }
    }

    /// The truth.
    pub(crate) fn current(&self) -> Arc<State> {
        Arc::clone(&self.now)
    }

    /// What was true so long ago. The oldest state that is kept stands for all before it.
    pub(crate) fn ago(&self, lag: Duration) -> Arc<State> {
        let Some(then) = Instant::now().checked_sub(lag) else {
            return self.current();
        };
        // Each entry was true until its time, so the first that ended after `then` was true at `then`.
        self.past
            .iter()
            .find(|(until, _)| *until > then)
            .map_or_else(|| self.current(), |(_, state)| Arc::clone(state))
    }

    /// Changes the state, or leaves it if the change is refused.
    pub(crate) fn change<T, E>(
        &mut self,
        change: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut next = State::clone(&self.now);
        let result = change(&mut next)?;
        let now = Instant::now();
        let before = std::mem::replace(&mut self.now, Arc::new(next));
        self.past.push_back((now, before));
        while self
            .past
            .front()
            .is_some_and(|(until, _)| now.duration_since(*until) > KEPT)
        {
            self.past.pop_front();
        }
        Ok(result)
    }
}
