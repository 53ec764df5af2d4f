//! SIGKILL in the middle of a call, which is how a runtime's patience ends.

use std::time::Duration;

use crate::case::Verdict;
use crate::world::World;
use crate::world::traces::pause;

/// After how many milliseconds: at the start, in the middle of what takes some, and near the end.
const DELAYS: [u64; 8] = [0, 1, 3, 6, 10, 20, 40, 300];

pub(super) fn killed_add(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    let add = world.call("ADD")?;
    let forgetful = world.call("DEL")?.unset("prevResult");
    for delay in DELAYS {
        let running = world.start(&add)?;
        pause(Duration::from_millis(delay));
        running.kill().map_err(anyhow::Error::from)?;
        world.run(&forgetful)?.silent()?;
    }
    before.are_back(world, Some(&pod))?;
    // killed, and added again without a DEL between: it converges, or says so and a DEL clears the way
    for delay in [2, 8, 25] {
        let running = world.start(&add)?;
        pause(Duration::from_millis(delay));
        running.kill().map_err(anyhow::Error::from)?;
        let answer = world.run(&add)?;
        if !answer.succeeded() {
            answer.failure()?;
            world.run(&forgetful)?.silent()?;
            world.run(&add)?.result()?;
        }
        world.run(&forgetful)?.silent()?;
    }
    before.are_back(world, Some(&pod))
}

pub(super) fn killed_del(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    for delay in DELAYS {
        let result = world.add()?;
        let running = world.start(&world.call_after("DEL", &result)?)?;
        pause(Duration::from_millis(delay));
        running.kill().map_err(anyhow::Error::from)?;
        world.del(&result)?;
    }
    before.are_back(world, Some(&pod))
}
