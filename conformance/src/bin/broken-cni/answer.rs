//! What the runtime sees of a call: stdout, stderr and the exit status.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, note};
use crate::rules::broken;
use crate::{call, daemon};

/// The newest version of the protocol that is spoken here.
pub const NEWEST: &str = "1.1.0";

/// Answers the call that environment and stdin describe.
pub fn run() -> ExitCode {
    if broken("ambient-not-utf8") {
        // panics at one that is not UTF-8
        let _ = std::env::vars().count();
    }
    let verb = std::env::var("CNI_COMMAND").unwrap_or_default();
    let verb = if broken("command-trimmed") {
        verb.trim().to_owned()
    } else {
        verb
    };
    if verb == "ADD" && broken("killed-add-goes-on") {
        return by_a_child();
    }
    answer(&verb)
}

fn answer(verb: &str) -> ExitCode {
    let mut version = NEWEST.to_owned();
    misbehave(verb);
    let answer = call::perform(verb, &mut version);
    let printed = match &answer {
        Ok(None) => Ok(()),
        Ok(Some(result)) => print(&result.to_string()),
        Err(failure) => refuse(verb, failure.clone(), &version),
    };
    if printed.is_err() && broken("closed-stdout-aborts") {
        std::process::abort();
    }
    let heard = printed.is_ok() || broken("unread-result-succeeds");
    let is_well = match answer {
        Ok(_) => heard && !(verb == "ADD" && broken("add-exit-1")),
        Err(_) => broken("error-exit-0") || (broken("error-exit-0-gc") && verb == "GC"),
    };
    if answer.is_err() && broken("error-130-check") && verb == "CHECK" {
        return ExitCode::from(130);
    }
    if answer.is_err() && broken("child-of-failure") {
        stay();
    }
    if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn refuse(verb: &str, failure: Failure, version: &str) -> io::Result<()> {
    let failure = if verb == "DEL" {
        failure.for_del()
    } else {
        failure
    };
    let is_old = broken("error-old-version-del") && verb == "DEL";
    let document = failure.to_json(if is_old { "1.0.0" } else { version });
    if broken("error-on-stderr") {
        note(&document.to_string());
        return Ok(());
    }
    if broken("error-plain") {
        return print(&failure.msg);
    }
    if broken("error-and-result") {
        print(&json!({"cniVersion": version}).to_string())?;
    }
    print(&document.to_string())
}

/// What is wrong with every call, whatever its answer.
fn misbehave(verb: &str) {
    let is_noisy = broken("stdout-log")
        || (broken("stdout-log-del") && verb == "DEL")
        || (broken("ambient-log") && std::env::var_os("RUST_LOG").is_some())
        || (broken("ambient-log-status")
            && verb == "STATUS"
            && std::env::var_os("RUST_LOG").is_some());
    if is_noisy {
        log();
    }
    if broken("stderr-chatter") || (broken("stderr-chatter-gc") && verb == "GC") {
        (0..20).for_each(|_| note("this is said of every call"));
    }
    if broken("child-stays") {
        stay();
    }
}

/// A line where none belongs.
pub fn log() {
    let _ = print("level=info msg=called");
}

/// Set for a child that does the work: whose it is.
const CHILD_OF: &str = "BROKEN_CNI_CHILD_OF";

/// Lets a child do the work and waits for it; the child does not end with this process.
fn by_a_child() -> ExitCode {
    if std::env::var_os(CHILD_OF).is_some() {
        return answer("ADD");
    }
    let own = std::env::current_exe().and_then(|own| {
        let mut child = Command::new(own);
        child
            .args(std::env::args().skip(1))
            .env(CHILD_OF, std::process::id().to_string());
        child.status()
    });
    match own {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// In the child: takes its time, and when its parent is killed meanwhile, goes on behind the DEL, which leaves `mark`.
pub fn outlive(mark: &Path) {
    let parent = std::env::var(CHILD_OF).ok();
    let is_orphan = || parent != Some(nix::unistd::getppid().to_string());
    let wait_for = |times: u32, done: &dyn Fn() -> bool| {
        (0..times).any(|_| {
            done() || {
                daemon::pause(Duration::from_millis(10));
                false
            }
        })
    };
    if wait_for(20, &is_orphan) {
        wait_for(1000, &|| mark.exists());
    }
}

/// Starts a child that keeps stdout open for longer than any runtime wants to wait.
fn stay() {
    let mut sleep = Command::new("/bin/sleep");
    if let Err(error) = sleep.arg("20").stdin(Stdio::null()).spawn() {
        note(&error.to_string());
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("{text}\n").as_bytes())?;
    stdout.flush()
}

fn stdin_is_null_device() -> bool {
    std::fs::read_link("/proc/self/fd/0").is_ok_and(|path| path == Path::new("/dev/null"))
}

/// The answer to VERSION; `stdin` is what came along.
pub fn versions(stdin: &[u8]) -> Result<Value, Failure> {
    let asked: Option<Value> = serde_json::from_slice(stdin).ok();
    if broken("version-needs-stdin") && asked.is_none() {
        return Err(Failure::new(6, "no configuration"));
    }
    if broken("version-needs-pipe") && stdin_is_null_device() {
        return Err(Failure::new(5, "no stdin"));
    }
    let echoed = asked.as_ref().and_then(|conf| conf["cniVersion"].as_str());
    let is_spoken = |version: &&str| call::SUPPORTED.contains(version);
    let echoed = echoed.filter(|version| is_spoken(version) || !broken("version-echoes-spoken"));
    let mut supported = call::SUPPORTED.to_vec();
    if broken("version-fails") {
        return Err(Failure::new(999, "VERSION failed"));
    }
    if broken("version-unknown-text") {
        return Err(Failure::new(4, "unknown CNI_COMMAND: VERSION"));
    }
    if broken("version-empty-list") {
        supported.clear();
    }
    if broken("version-list-short") {
        supported.retain(|version| *version != "1.0.0");
    }
    if broken("version-named-refused") {
        supported.insert(0, "0.2.0");
    }
    if broken("version-unsorted") {
        supported.reverse();
    }
    if broken("version-shuffled") {
        // Never by nothing: a list that came out ascending each time it was asked for would not
        // be broken.
        let pid = usize::try_from(std::process::id()).unwrap_or_default();
        supported.rotate_left(1 + pid % (call::SUPPORTED.len() - 1));
    }
    Ok(json!({"cniVersion": echoed.unwrap_or(NEWEST), "supportedVersions": supported}))
}
