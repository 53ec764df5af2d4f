//! What an attachment leaves: the host, the sandbox, and what the plugin says that it holds, before and after.

use std::thread;
use std::time::{Duration, Instant};

use super::World;
use crate::case::{Finding, Verdict, expect, wrong};
use crate::interrupt;
use crate::netns::Netns;
use crate::netns::snapshot::{Change, SYSCTL, Snapshot};
use crate::pod::Pod;

/// How long what a DEL started may take to end: a plugin's daemon may delete links after the answer, and the kernel takes
/// namespaces apart on its own time.
const SOON: Duration = Duration::from_secs(6);

/// How many differences are quoted.
const QUOTED: usize = 4;

/// Whether sysctls must be as they were. No plugin's DEL sets them back: a sandbox's go with it, and a host forwards
/// from its first pod on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sysctls {
    Aside,
    Too,
}

/// How things stood at one moment.
#[derive(Debug)]
pub struct Traces {
    host: Snapshot,
    /// Other cases use the host too: links of theirs may still go, since a plugin may clean up behind its answer.
    shared: bool,
    sandbox: Option<Snapshot>,
    held: Option<Vec<String>>,
}

impl World<'_> {
    /// How the host, the sandbox of `pod` and what the plugin holds stand.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub fn traces(&self, pod: Option<&Pod>) -> Result<Traces, Finding> {
        let held = match self.held() {
            Ok(held) => Some(held),
            Err(Finding::Skip(_)) => None,
            Err(finding) => return Err(finding),
        };
        let sandbox = pod.map(|pod| Snapshot::take(&pod.netns)).transpose()?;
        Ok(Traces {
            host: Snapshot::take(self.host())?,
            shared: !self.host().is_owned(),
            sandbox,
            held,
        })
    }

    /// The same after the plugin was used once for another sandbox: what it makes for good (a bridge, the chains of a
    /// firewall) is there then.
    ///
    /// # Errors
    /// That use failed.
    pub fn traces_in_use(&self, pod: Option<&Pod>) -> Result<Traces, Finding> {
        let other = self.another_pod()?;
        let result = self.run(&self.call_for("ADD", &other))?.result()?;
        self.run(&self.after("DEL", &other, &result))?.success()?;
        self.traces(pod)
    }
}

impl Traces {
    /// Everything must stand as then, at once or soon.
    ///
    /// # Errors
    /// It does not; the first differences are named.
    pub fn are_back(&self, world: &World<'_>, pod: Option<&Pod>) -> Verdict {
        soon(|| self.compare(&world.traces(pod)?, Sysctls::Aside))
    }

    /// As [`Traces::are_back`], for a call that had nothing to do: sysctls too.
    ///
    /// # Errors
    /// Something changed.
    pub fn are_still(&self, world: &World<'_>, pod: Option<&Pod>) -> Verdict {
        soon(|| self.compare(&world.traces(pod)?, Sysctls::Too))
    }

    /// Nothing may have changed up to now.
    ///
    /// # Errors
    /// Something has.
    pub fn are_unchanged(&self, world: &World<'_>, pod: Option<&Pod>) -> Verdict {
        self.compare(&world.traces(pod)?, Sysctls::Too)
    }

    /// The plugin must hold what it held then, at once or soon, where it can be asked: whatever stands on the host and in
    /// sandboxes.
    ///
    /// # Errors
    /// It holds something else.
    pub fn holding_is_back(&self, world: &World<'_>) -> Verdict {
        soon(
            || match self.held_otherwise(world.traces(None)?.held.as_ref()) {
                None => Ok(()),
                Some(found) => wrong(found),
            },
        )
    }

    /// All that was there then must still be there, whatever came since.
    ///
    /// # Errors
    /// Something is gone.
    pub fn are_kept(&self, world: &World<'_>, pod: Option<&Pod>) -> Verdict {
        let now = world.traces(pod)?;
        let is_gone =
            |change: &Change| !matches!(change, Change::Added(..)) && section(change) != SYSCTL;
        let mut gone = changes("host", &self.host, &now.host, |change| {
            is_gone(change) && !self.is_others(change)
        });
        if let (Some(before), Some(now)) = (&self.sandbox, &now.sandbox) {
            gone.extend(changes("sandbox", before, now, is_gone));
        }
        let held = self.held.iter().flatten();
        let holds = |line: &&String| now.held.iter().flatten().any(|now| now == *line);
        gone.extend(
            held.filter(|line| !holds(line))
                .map(|line| format!("held {line}")),
        );
        expect(gone.is_empty(), || format!("it is gone: {}", quoted(gone)))
    }

    fn compare(&self, now: &Self, sysctls: Sysctls) -> Verdict {
        let found = self.differences(now, sysctls);
        if found.is_empty() {
            Ok(())
        } else {
            wrong(format!("it is not as before: {}", quoted(found)))
        }
    }

    /// Whether it may be another case's that is over.
    fn is_others(&self, change: &Change) -> bool {
        self.shared && is_link_that_went(change)
    }

    fn differences(&self, now: &Self, sysctls: Sysctls) -> Vec<String> {
        let counts = |change: &Change| sysctls == Sysctls::Too || section(change) != SYSCTL;
        let mut found = changes("host", &self.host, &now.host, |change| {
            counts(change) && !self.is_others(change)
        });
        if let (Some(before), Some(now)) = (&self.sandbox, &now.sandbox) {
            found.extend(changes("sandbox", before, now, counts));
        }
        found.extend(self.held_otherwise(now.held.as_ref()));
        found
    }

    fn held_otherwise(&self, now: Option<&Vec<String>>) -> Option<String> {
        let before = self.held.as_ref();
        let [now, before] = [now, before].map(|held| held.map_or(&[][..], Vec::as_slice));
        (now != before).then(|| format!("the plugin holds {now:?}, not {before:?}"))
    }
}

/// The first of them, and how many more there are.
fn quoted(mut found: Vec<String>) -> String {
    let more = found.len().saturating_sub(QUOTED);
    found.truncate(QUOTED);
    if more > 0 {
        found.push(format!("{more} more"));
    }
    found.join("; ")
}

/// Repeats `attempt` until it holds, or gives its last finding.
///
/// # Errors
/// It never held.
pub fn soon(mut attempt: impl FnMut() -> Verdict) -> Verdict {
    let deadline = Instant::now() + SOON;
    loop {
        match attempt() {
            Err(Finding::Wrong(_)) if Instant::now() < deadline && !interrupt::is_asked() => {
                pause(Duration::from_millis(40));
            }
            verdict => return verdict,
        }
    }
}

/// Whether a link of that name is in `netns`.
///
/// # Errors
/// It cannot be looked at.
pub fn has_link(netns: &Netns, name: &str) -> anyhow::Result<bool> {
    let shown = netns.ip(&["-o", "link", "show"])?;
    let names = shown
        .lines()
        .filter_map(|line| line.split([':', '@']).nth(1).map(str::trim));
    Ok(names.into_iter().any(|found| found == name))
}

/// Lets time pass where there is nothing to wait for.
pub fn pause(time: Duration) {
    thread::sleep(time);
}

fn changes(
    place: &str,
    before: &Snapshot,
    now: &Snapshot,
    counts: impl Fn(&Change) -> bool,
) -> Vec<String> {
    let changes = before.changes(now).into_iter().filter(counts);
    changes.map(|change| format!("{place} {change}")).collect()
}

fn is_link_that_went(change: &Change) -> bool {
    matches!(change, Change::Removed(section, _) if section == "link" || section == "address")
}

fn section(change: &Change) -> &str {
    match change {
        Change::Added(section, _) | Change::Removed(section, _) | Change::Reordered(section) => {
            section
        }
    }
}
