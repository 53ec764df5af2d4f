//! SIGKILL in the middle of a call.

use crate::case::Verdict;
use crate::world::World;
use crate::world::traces::pause;

pub(super) fn killed_add(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let [moments, _] = world.moments()?;
    let before = world.traces(Some(&pod))?;
    let add = world.call("ADD")?;
    let forgetful = world.call("DEL")?.unset("prevResult");
    for moment in &moments {
        world.kill_after(*moment, &add)?;
        world.run(&forgetful)?.success()?;
    }
    before.are_back(world, Some(&pod))?;
    // nor does anything come when it would have ended
    pause(2 * moments.iter().copied().max().unwrap_or_default());
    before.are_unchanged(world, Some(&pod))?;
    // killed, and added again without a DEL between: it converges, or says so and a DEL clears the way
    for moment in moments.iter().skip(1).step_by(2) {
        world.kill_after(*moment, &add)?;
        let answer = world.run(&add)?;
        if !answer.succeeded() {
            answer.failure()?;
            world.run(&forgetful)?.success()?;
            world.run(&add)?.result()?;
        }
        world.run(&forgetful)?.success()?;
    }
    before.are_back(world, Some(&pod))
}

pub(super) fn killed_del(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let [_, moments] = world.moments()?;
    let before = world.traces(Some(&pod))?;
    for moment in moments {
        let result = world.add()?;
        world.kill_after(moment, &world.call_after("DEL", &result)?)?;
        world.del(&result)?;
    }
    before.are_back(world, Some(&pod))
}
