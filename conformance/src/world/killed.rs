//! Calls that are cut short by SIGKILL, which is how a runtime's patience ends: at moments spread over the time that such
//! a call takes here and now, so that they fall into its middle on a slow machine as on a fast one.

use std::time::Duration;

use super::World;
use super::traces::pause;
use crate::call::Call;
use crate::case::Finding;

/// When, in eighths of the time that the call takes: at its start, near the end, behind it, and in the middle, which is
/// last: what goes on behind a call that was killed is not undone by the next one.
const EIGHTHS: [u32; 8] = [0, 12, 8, 1, 6, 2, 4, 3];

impl World<'_> {
    /// Moments in an ADD and in a DEL, after one of each that was left to end, for another sandbox than those of the case:
    /// a plugin may still clean up behind its answer.
    ///
    /// # Errors
    /// One of them failed.
    pub fn moments(&self) -> Result<[Vec<Duration>; 2], Finding> {
        // made before the other one, or that would be the first
        self.pod()?;
        let other = self.another_pod()?;
        let add = self.run(&self.call_for("ADD", &other))?;
        let del = self.run(&self.after("DEL", &other, &add.result()?))?;
        del.success()?;
        let spread = |took: Duration| EIGHTHS.map(|part| took * part / 8).to_vec();
        Ok([spread(add.elapsed), spread(del.elapsed)])
    }

    /// Starts the call, and kills it a moment later.
    ///
    /// # Errors
    /// It cannot be started or killed.
    pub fn kill_after(&self, moment: Duration, call: &Call) -> anyhow::Result<()> {
        let running = self.start(call)?;
        pause(moment);
        Ok(running.kill()?)
    }
}
