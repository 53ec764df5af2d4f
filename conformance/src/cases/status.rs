//! S: STATUS says whether ADDs are served, at once, whatever state the daemon is in.

use std::thread;
use std::time::Duration;

use crate::answer::Answer;
use crate::call::Call;
use crate::case::{Case, Finding, Group, Level, Modes, Source, Verdict, Versions, expect, wrong};
use crate::runtime::conflist::Version;
use crate::world::World;
use crate::world::traces::{pause, soon};

const STATUS: &str = "STATUS: Check plugin status";

/// What a runtime can wait for STATUS.
const SECOND: Duration = Duration::from_secs(1);
/// How often that is tried: a machine that has much else to do makes one or another take longer.
const TRIES: usize = 5;
/// When a STATUS that does not end is killed.
const PATIENCE: Duration = Duration::from_secs(4);

const BASE: Case = Case {
    group: Group::Status,
    name: "",
    rule: "",
    assertions: &[],
    sources: &[Source::Spec(STATUS)],
    level: Level::Must,
    versions: Versions::Since(Version::V1_1_0),
    modes: Modes::Once,
    run: well,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "well",
        rule: "STATUS succeeds within a second and prints nothing while ADDs are served, with nothing but a configuration",
        assertions: &["S01", "S03", "S06", "S07", "E03"],
        run: well,
        ..BASE
    },
    Case {
        name: "changes_nothing",
        rule: "STATUS, also many at once, changes nothing and holds nothing",
        assertions: &["S06"],
        sources: &[Source::Ours],
        level: Level::Ours,
        run: changes_nothing,
        ..BASE
    },
    Case {
        name: "daemon_down",
        rule: "STATUS while the daemon is down fails with 50 or 51 within a second",
        assertions: &["S01", "S02", "S06"],
        run: daemon_down,
        ..BASE
    },
    Case {
        name: "daemon_hung",
        rule: "STATUS while the daemon hangs ends within a second, and if it fails, with 50 or 51",
        assertions: &["S02", "S06"],
        sources: &[Source::Spec(STATUS), Source::Containerd],
        run: daemon_hung,
        ..BASE
    },
    Case {
        name: "daemon_starting",
        rule: "STATUS while the daemon starts ends within a second each time, and succeeds once it serves",
        assertions: &["S01", "S02", "S06"],
        sources: &[Source::Spec(STATUS), Source::Containerd],
        run: daemon_starting,
        ..BASE
    },
    Case {
        name: "add_does_not_depend",
        rule: "ADD and DEL work without a STATUS before them, and after one that failed",
        assertions: &["S04"],
        run: add_does_not_depend,
        ..BASE
    },
    Case {
        name: "waits_for_no_add",
        rule: "STATUS ends within a second while an ADD stands still",
        assertions: &["S06"],
        sources: &[Source::Containerd],
        level: Level::Ours,
        run: waits_for_no_add,
        ..BASE
    },
];

/// Only what it needs of the environment: no container.
fn bare(world: &World<'_>) -> Result<Call, Finding> {
    let full = world.call("STATUS")?;
    let names = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"];
    Ok(names
        .iter()
        .fold(full, |call, name| call.without(name))
        .killed_after(PATIENCE))
}

/// STATUS with only what it needs, which must end within a second: the best of some.
fn prompt(world: &World<'_>) -> Result<Answer, Finding> {
    let call = bare(world)?;
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let answer = world.run(&call)?;
        best = best.min(answer.elapsed);
        if !answer.hung && best < SECOND {
            return Ok(answer);
        }
    }
    wrong(format!("took {best:?} at best"))
}

fn well(world: &World<'_>) -> Verdict {
    world.run(&world.call("STATUS")?)?.silent()?;
    prompt(world)?.silent()?;
    let junk = bare(world)?
        .env("CNI_IFNAME", "a/b")
        .env("CNI_CONTAINERID", "-")
        .env("CNI_NETNS", "/none");
    world.run(&junk)?.silent()
}

fn changes_nothing(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces(Some(&pod))?;
    let call = bare(world)?;
    let running: Vec<_> = (0..8)
        .map(|_| world.start(&call))
        .collect::<Result<_, _>>()?;
    for status in running {
        status.finish()?.silent()?;
    }
    before.are_unchanged(world, Some(&pod))
}

fn daemon_down(world: &World<'_>) -> Verdict {
    let down = world.stop_daemon()?;
    let answer = prompt(world);
    down.mend()?;
    answer?.fails_with_one_of(&[50, 51])?;
    again_well(world)
}

fn daemon_hung(world: &World<'_>) -> Verdict {
    let hung = world.pause_daemon()?;
    let answer = prompt(world);
    hung.mend()?;
    answered(&answer?)?;
    again_well(world)
}

fn daemon_starting(world: &World<'_>) -> Verdict {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        best = best.min(slowest_of_a_start(world)?);
        again_well(world)?;
        if best < SECOND {
            return Ok(());
        }
    }
    wrong(format!(
        "the slowest while the daemon starts took {best:?} in the best of {TRIES} starts"
    ))
}

/// How long the slowest STATUS took of those that ran, one after the other, while the daemon
/// started.
fn slowest_of_a_start(world: &World<'_>) -> Result<Duration, Finding> {
    let down = world.stop_daemon()?;
    let call = bare(world)?;
    thread::scope(|scope| {
        let starting = scope.spawn(|| down.mend());
        let mut slowest = Ok(Duration::ZERO);
        while !starting.is_finished() {
            let answer = world.run(&call)?;
            slowest = slowest.and_then(|slowest| {
                answered(&answer)?;
                Ok(slowest.max(answer.elapsed))
            });
            pause(Duration::from_millis(5));
        }
        starting
            .join()
            .unwrap_or_else(|_| wrong("the daemon's start panicked"))?;
        slowest
    })
}

fn add_does_not_depend(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    world.del(&result)?;
    // one that fails in every plugin
    world
        .run(&bare(world)?.set("cniVersion", "9.9.9"))?
        .failure()?;
    if let Ok(down) = world.stop_daemon() {
        let answer = world.run(&bare(world)?)?;
        down.mend()?;
        ended(&answer)?;
        again_well(world)?;
    }
    let result = world.add()?;
    world.del(&result)
}

/// An ADD is stopped (SIGSTOP) a little later each time: somewhere it holds what it holds.
fn waits_for_no_add(world: &World<'_>) -> Verdict {
    let [moments, _] = world.moments()?;
    for moment in moments {
        let add = world.start(&world.call("ADD")?)?;
        pause(moment);
        add.stop()?;
        let answer = prompt(world);
        add.resume()?;
        add.finish()?;
        world
            .run(&world.call("DEL")?.unset("prevResult"))?
            .success()?;
        answer?.silent()?;
    }
    Ok(())
}

fn again_well(world: &World<'_>) -> Verdict {
    soon(|| world.run(&bare(world)?)?.silent())
}

/// A success, or an error that says what a runtime is to make of it; an end in any case.
fn answered(answer: &Answer) -> Verdict {
    ended(answer)?;
    if answer.succeeded() {
        return answer.silent();
    }
    answer.fails_with_one_of(&[50, 51]).map(drop)
}

fn ended(answer: &Answer) -> Verdict {
    expect(!answer.hung, || {
        format!("a runtime waits and holds a lock: {}", answer.quote())
    })
}
