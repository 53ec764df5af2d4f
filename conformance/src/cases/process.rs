//! P: the plugin as a process: what it writes where, what it leaves running, and that it ends.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::call::Call;
use crate::case::Source::{CriO, Libcni, Ours, Spec};
use crate::case::Versions::{Each, Once, Since};
use crate::case::{Verdict, expect, wrong};
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Process;
    stdout_is_the_protocols: Must, ["P01"], [Spec("Overview"), Libcni], Each, Each,
        "ADD, CHECK and DEL write nothing but results to stdout, also when they are told to be talkative";
    quiet: Should, ["P02"], [Libcni], Each, Each,
        "a success writes nothing to stderr, which runtimes put into their log";
    closes_its_pipes: Must, ["P03"], [Libcni], Each, Each,
        "no child is left with the plugin's stdout or stderr: the runtime would wait for it";
    leaves_no_process: Ours, ["P03"], [Ours], Each, Each,
        "no process is left that the plugin has started";
    ends_while_stdin_is_open: Ours, ["P05"], [CriO, Ours], Since(Version::V1_1_0), Once,
        "STATUS ends within 5 s though nobody closes its stdin";
    broken_stdout: Ours, ["P06"], [Ours], Once, Each,
        "a stdout that nobody reads is a failure without a panic";
    any_directory: Ours, ["P08"], [Ours], Each, Each,
        "the working directory does not matter";
    no_home_no_path: Ours, ["P08"], [Ours], Each, Each,
        "HOME is not needed, nor is PATH";
    any_umask: Ours, ["P08"], [Ours], Each, Each,
        "the umask does not matter";
}

/// Long enough for a child that is about to end.
const PATIENCE: Duration = Duration::from_secs(10);

fn stdout_is_the_protocols(world: &World<'_>) -> Verdict {
    let talkative = |call: Call| {
        call.env("RUST_LOG", "trace")
            .env("DEBUG", "1")
            .env("CNI_LOGLEVEL", "debug")
    };
    let added = world.run(&talkative(world.call("ADD")?))?.result()?;
    if world.has_check() && world.declines("CHECK").is_ok() {
        let answer = world.run(&talkative(world.call_after("CHECK", &added)?))?;
        expect(answer.stdout.is_empty() || !answer.succeeded(), || {
            format!("should print nothing: {}", answer.quote())
        })?;
    }
    world
        .run(&talkative(world.call_after("DEL", &added)?))?
        .silent()
}

fn quiet(world: &World<'_>) -> Verdict {
    let added = world.run(&world.call("ADD")?)?;
    let result = added.result()?;
    let deleted = world.run(&world.call_after("DEL", &result)?)?;
    let version = world.run(&world.call("VERSION")?)?;
    for answer in [added, deleted, version] {
        expect(answer.stderr.is_empty(), || {
            format!("should be quiet: {}", answer.quote())
        })?;
    }
    Ok(())
}

fn closes_its_pipes(world: &World<'_>) -> Verdict {
    for verb in ["VERSION", "ADD", "DEL"] {
        let answer = world.run(&world.call(verb)?.killed_after(PATIENCE))?;
        expect(!answer.hung, || {
            format!("should close stdout and stderr: {}", answer.quote())
        })?;
    }
    Ok(())
}

fn leaves_no_process(world: &World<'_>) -> Verdict {
    const MARK: &str = "CONFORMANCE_CALL";
    let mark = world.pod()?.attachment.container_id.clone();
    for verb in ["ADD", "DEL"] {
        world.run(&world.call(verb)?.env(MARK, &mark))?;
    }
    let marked = format!("{MARK}={mark}");
    for entry in std::fs::read_dir("/proc")
        .context("cannot read /proc")?
        .flatten()
    {
        // processes come and go while one looks
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == marked.as_bytes())
        {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            return wrong(format!(
                "process {} is left: {command}",
                entry.file_name().display()
            ));
        }
    }
    Ok(())
}

fn ends_while_stdin_is_open(world: &World<'_>) -> Verdict {
    let call = world.call("STATUS")?;
    let text = call.config().to_string();
    let answer = world.run(
        &call
            .stdin_left_open(text)
            .killed_after(Duration::from_secs(5)),
    )?;
    expect(!answer.hung, || {
        format!("should give up on its stdin: {}", answer.quote())
    })
}

fn broken_stdout(world: &World<'_>) -> Verdict {
    for verb in ["ADD", "VERSION"] {
        let answer = world.run(&world.call(verb)?.stdout_broken().killed_after(PATIENCE))?;
        let orderly = answer.status.code().is_some_and(|code| code != 0);
        expect(orderly && !answer.stderr.contains("panic"), || {
            format!("should fail in an orderly way: {}", answer.quote())
        })?;
    }
    Ok(())
}

/// ADD and DEL, changed by `change`, succeed.
fn cycle(world: &World<'_>, change: impl Fn(Call) -> Call) -> Verdict {
    let added = world.run(&change(world.call("ADD")?))?.result()?;
    world
        .run(&change(world.call_after("DEL", &added)?))?
        .silent()
}

fn any_directory(world: &World<'_>) -> Verdict {
    for dir in ["/", "/proc/self"] {
        cycle(world, |call| call.in_dir(Path::new(dir)))?;
    }
    Ok(())
}

fn no_home_no_path(world: &World<'_>) -> Verdict {
    cycle(world, |call| call.without("PATH").without("HOME"))
}

fn any_umask(world: &World<'_>) -> Verdict {
    cycle(world, |call| call.under_umask("0777"))?;
    cycle(world, |call| call.under_umask("0"))
}
