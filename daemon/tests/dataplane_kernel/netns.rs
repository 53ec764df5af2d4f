//! Network namespaces of a test: made, entered, looked at, and removed again also when the test fails.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

const STATES: [&str; 4] = ["UP", "DOWN", "UNKNOWN", "LOWERLAYERDOWN"];

/// What [`Netns::dump`] saw, line by line.
#[derive(Clone, PartialEq, Eq)]
pub struct Dump(Vec<String>);

impl Dump {
    /// Fails with what differs, instead of two long texts.
    #[track_caller]
    pub fn assert_same(&self, other: &Self) {
        let lost: Vec<_> = self
            .0
            .iter()
            .filter(|line| !other.0.contains(line))
            .collect();
        let new: Vec<_> = other
            .0
            .iter()
            .filter(|line| !self.0.contains(line))
            .collect();
        assert!(self == other, "lost: {lost:#?}\nnew: {new:#?}");
    }
}

/// A named namespace, gone when dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes one, or says why the test is skipped. Where tests must run (`CI`), not being able to is a failure.
    pub fn new(test: &str, role: &str) -> Option<Self> {
        let name = format!("berth-{test}-{role}-{}", std::process::id());
        let made = run("ip", &["netns", "add", &name]);
        if made.status.success() {
            let netns = Self { name };
            netns.sh("ip link set lo up");
            return Some(netns);
        }
        let why = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(
            std::env::var_os("CI").is_none(),
            "no network namespace: {why}"
        );
        eprintln!("skipped: cannot make a network namespace: {why}");
        None
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A descriptor, as the CNI plugin passes it.
    pub fn fd(&self) -> Arc<OwnedFd> {
        let file = File::open(format!("/run/netns/{}", self.name));
        Arc::new(file.unwrap().into())
    }

    /// Runs a shell line inside; it must succeed.
    pub fn sh(&self, line: &str) -> String {
        let output = self.try_sh(line);
        assert!(
            output.status.success(),
            "{}: {line}: {}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn succeeds(&self, line: &str) -> bool {
        self.try_sh(line).status.success()
    }

    fn try_sh(&self, line: &str) -> Output {
        run("ip", &["netns", "exec", &self.name, "sh", "-c", line])
    }

    /// One ping.
    pub fn reaches(&self, address: impl std::fmt::Display) -> bool {
        self.succeeds(&format!("ping -c1 -W2 {address}"))
    }

    /// All that netlink knows of the namespace, to be compared with itself, but the operational state of links, which
    /// follows at its own pace.
    pub fn dump(&self) -> Dump {
        let text = [
            "ip -d -o link",
            "ip -4 -o address",
            "ip -4 route show table all",
            "ip rule",
            "ip -4 neighbour show nud permanent",
        ]
        .map(|line| self.sh(line))
        .join("--\n");
        let settled = |line: &str| {
            let words = line.split_whitespace();
            words
                .filter(|word| !STATES.contains(word))
                .collect::<Vec<_>>()
                .join(" ")
                .replace(",LOWER_UP", "")
                .replace("NO-CARRIER,", "")
        };
        Dump(text.lines().map(settled).collect())
    }

    /// Runs async code on a thread that lives in the namespace, as the daemon's threads live in the node's.
    pub fn enter<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        let fd = self.fd();
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(fd, CloneFlags::CLONE_NEWNET).unwrap();
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(work())
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Waits for something that happens by itself; how long is no more than what keeps a broken test from hanging.
    pub async fn eventually(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !holds(self) {
            assert!(Instant::now() < deadline, "{}: never {what}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        run("ip", &["netns", "delete", &self.name]);
    }
}

#[allow(clippy::disallowed_methods, reason = "iproute2 is the second opinion")]
fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}
