//! The states of the last minutes, so that lagging readers can be shown what was true a moment ago.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lag::Lag;
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

    /// What a reader sees that lies so far behind: what was there all the time between the two moments, or at any time.
    pub(crate) fn seen(&self, lag: Lag) -> Arc<State> {
        let (least, most) = (lag.appear.min(lag.vanish), lag.appear.max(lag.vanish));
        let recent = self.ago(least);
        let blend = match lag.appear.cmp(&lag.vanish) {
            Ordering::Equal => return recent,
            Ordering::Less => State::haunted_by,
            Ordering::Greater => State::known_since,
        };
        let seen = self.between(least, most);
        Arc::new(seen.fold(State::clone(&recent), blend))
    }

    /// The states that were true at any time between so long and so long ago, the latest first.
    fn between(&self, least: Duration, most: Duration) -> impl Iterator<Item = &State> {
        let now = Instant::now();
        let back = move |lag| now.checked_sub(lag);
        let (to, from) = (back(least), back(most));
        // One whose end is after `from` was true at it or later; the first that ended after `to` is the last of them.
        let last = self
            .past
            .iter()
            .position(|(until, _)| to.is_none_or(|to| *until > to))
            .unwrap_or(self.past.len());
        let first = self
            .past
            .iter()
            .position(|(until, _)| from.is_none_or(|from| *until > from))
            .unwrap_or(self.past.len());
        let range = self.past.range(first.min(last)..last);
        range.rev().map(|(_, state)| state.as_ref())
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
