//! P: the plugin as a process: what it writes where, what it leaves running, and that it ends.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::errors::mistakes;
use crate::answer::Answer;
use crate::call::Call;
use crate::case::Source::{CriO, Libcni, Ours, Spec};
use crate::case::Versions::{Each, Once, Since};
use crate::case::{Finding, Verdict, expect, with, wrong};
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Process;
    stdout_is_the_protocols: Must, ["P01"], [Spec("Overview"), Libcni], Each, Each,
        "nothing but ADD's result is written to stdout, also by a plugin that is told to be talkative";
    quiet: Should, ["P02"], [Libcni], Each, Each,
        "a success writes nothing to stderr, which runtimes put into their log";
    closes_its_pipes: Must, ["P03"], [Libcni], Each, Each,
        "no child is left with the plugin's stdout or stderr, also not by a failure: the runtime would wait for it";
    leaves_no_process: Ours, ["P03"], [Ours], Each, Each,
        "no process is left that the plugin has started, also not by a failure";
    ends_while_stdin_is_open: Ours, ["P05"], [CriO, Ours], Since(Version::V1_1_0), Once,
        "STATUS ends within 5 s though nobody closes its stdin";
    broken_stdout: Ours, ["P06"], [Ours], Once, Each,
        "a stdout that nobody reads is a failure without a panic";
    any_directory: Ours, ["P08"], [Ours], Each, Each,
        "the working directory does not matter, nor that it was deleted";
    directory_stays_clean: Ours, ["P08"], [Ours], Each, Once,
        "nothing is left in the working directory";
    no_home_no_path: Ours, ["P08"], [Ours], Each, Each,
        "HOME is not needed, nor is PATH";
    any_umask: Ours, ["P08"], [Ours], Each, Each,
        "the umask does not matter";
}

/// Long enough for a child that is about to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Members by which plugins are told how much to log, and what is most.
const TALKATIVE: [(&str, &str); 4] = [
    ("logLevel", "debug"),
    ("log_level", "debug"),
    ("pluginLogLevel", "DEBUG"),
    ("loglevel", "debug"),
];

fn stdout_is_the_protocols(world: &World<'_>) -> Verdict {
    let own = &world.subject().entry;
    let foreign = TALKATIVE
        .iter()
        .filter(|(name, _)| !own.contains_key(*name));
    let talkative = |call: Call| {
        let call = call
            .env("RUST_LOG", "trace")
            .env("DEBUG", "1")
            .env("CNI_LOGLEVEL", "debug");
        let members = foreign.clone();
        members.fold(call, |call, (name, value)| call.set(name, *value))
    };
    for (verb, answer) in world.life(talkative)? {
        if verb != "ADD" {
            answer.silent()?;
        }
    }
    Ok(())
}

fn quiet(world: &World<'_>) -> Verdict {
    let mut answers = world.life(|call| call)?;
    answers.push(("VERSION", world.run(&world.call("VERSION")?)?));
    for (_, answer) in answers {
        expect(answer.stderr.is_empty(), || {
            format!("should be quiet: {}", answer.quote())
        })?;
    }
    Ok(())
}

/// Everything that a runtime calls, in good times and in bad: what comes of the bad calls and of VERSION.
fn all_sorts(world: &World<'_>, change: impl Fn(Call) -> Call) -> Result<Vec<Answer>, Finding> {
    world.life(&change)?;
    let mut calls = mistakes(world)?;
    calls.push(world.call("VERSION")?);
    let answers = calls.into_iter().map(|call| world.run(&change(call)));
    Ok(answers.collect::<Result<_, _>>()?)
}

fn closes_its_pipes(world: &World<'_>) -> Verdict {
    for answer in all_sorts(world, |call| call.killed_after(PATIENCE))? {
        expect(!answer.hung, || {
            format!("should close stdout and stderr: {}", answer.quote())
        })?;
    }
    Ok(())
}

fn leaves_no_process(world: &World<'_>) -> Verdict {
    const MARK: &str = "CONFORMANCE_CALL";
    let mark = world.pod()?.attachment.container_id.clone();
    all_sorts(world, |call| call.env(MARK, &mark))?;
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

/// Each verb succeeds, changed by `change`.
fn lives(world: &World<'_>, change: impl Fn(Call) -> Call) -> Verdict {
    world.life(change).map(drop)
}

fn any_directory(world: &World<'_>) -> Verdict {
    for dir in ["/", "/proc/self"] {
        with(dir, lives(world, |call| call.in_dir(Path::new(dir))))?;
    }
    let gone = world.dir().join("working-directory-gone");
    let verdict = lives(world, |call| call.in_deleted_dir(&gone));
    with("a working directory that is deleted", verdict)
}

fn directory_stays_clean(world: &World<'_>) -> Verdict {
    let dir = world.dir().join("working-directory");
    std::fs::create_dir_all(&dir).context("cannot make a directory")?;
    all_sorts(world, |call| call.in_dir(&dir))?;
    let left = std::fs::read_dir(&dir).context("cannot look at a directory")?;
    let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
    expect(left.is_empty(), || {
        format!("it left {left:?} in its working directory")
    })
}

fn no_home_no_path(world: &World<'_>) -> Verdict {
    lives(world, |call| call.without("PATH").without("HOME"))
}

fn any_umask(world: &World<'_>) -> Verdict {
    for umask in ["0777", "0"] {
        let verdict = lives(world, |call| call.under_umask(umask));
        with(&format!("umask {umask}"), verdict)?;
    }
    Ok(())
}
