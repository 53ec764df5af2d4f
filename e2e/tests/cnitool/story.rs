//! One life of a pod under a runtime, told so that two runtimes' stories can be compared: addresses, names and MACs,
//! which differ from pod to pod, are left out; what each step came to is not.

use std::fmt;
use std::fs::File;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use e2e::aftermath::eventually;
use e2e::cluster::DAEMON_PATIENCE;
use e2e::netns::Netns;
use e2e::node::Node;
use e2e::runtime::conflist::Version;
use e2e::runtime::outcome::AddResult;
use serde_json::{Map, Value, json};

use crate::driver::{Driver, Said};

/// Longer than a daemon may be away before STATUS fails.
const LONG_AGO: Duration = Duration::from_secs(70);

/// Much longer than a reaper takes.
const SOON: Duration = Duration::from_secs(20);

/// What came of each step.
#[derive(Clone, Debug)]
pub struct Story {
    steps: Vec<(&'static str, Result<(), String>)>,
    result: Value,
}

impl Story {
    /// STATUS, ADD, CHECK, a broken pod's CHECK, DEL twice, ADD and GC; and where STATUS means something, that without a
    /// daemon.
    pub fn of(driver: &impl Driver, node: &Node, version: Version) -> anyhow::Result<Self> {
        let pod = Netns::unique("cnitool-pod")?;
        let mut steps = vec![("status", driver.status(&pod)?)];
        let added = driver.add(&pod)?;
        let result = added.as_ref().map(without_chance).unwrap_or_default();
        steps.push(("add", added.map(drop)));
        ensure!(node.status()?.attachments.len() == 1, "one is attached");
        steps.push(("check", driver.check(&pod)?));
        pod.ip(&["addr", "flush", "dev", "eth0"])?;
        steps.push(("check of a broken pod", driver.check(&pod)?));
        steps.push(("del", driver.del(&pod)?));
        steps.push(("del again", driver.del(&pod)?));
        nobody(node)?;
        steps.push(("add again", driver.add(&pod)?.map(drop)));
        steps.push(("gc", driver.gc(&pod)?));
        nobody(node)?;
        if version >= Version::V1_1_0 {
            empty(&pod)?;
            let said = without_daemon(node, || driver.status(&pod))?;
            steps.push(("status without a daemon", said));
        }
        Ok(Self { steps, result })
    }

    fn step(&self, name: &str) -> Option<&Result<(), String>> {
        let mut steps = self.steps.iter();
        steps.find(|(step, _)| *step == name).map(|(_, said)| said)
    }

    /// What it must be in a list of this version; cnitool's story.
    pub fn holds(&self, version: Version, checks: bool) -> anyhow::Result<()> {
        let is = |name: &str, well: bool, word: &str| {
            let said = self.step(name).context("a step")?;
            let words = said.as_ref().err().map(String::as_str).unwrap_or_default();
            ensure!(
                said.is_ok() == well && words.contains(word),
                "{name}: {said:?}"
            );
            Ok(())
        };
        for name in ["status", "add", "del", "del again", "add again"] {
            is(name, true, "")?;
        }
        is("check", checks && version >= Version::V0_4_0, "")?;
        is("check of a broken pod", false, "")?;
        // cnitool sends no list, by which it means all; a node is not emptied by a call that may be malformed.
        let (asked, word) = match version {
            Version::V1_1_0 => (
                true,
                "neither cni.dev/valid-attachments nor cni.dev/attachments",
            ),
            _ => (false, ""),
        };
        is("gc", !asked, word)?;
        if asked {
            is("status without a daemon", false, "berthd")?;
        }
        Ok(())
    }
}

/// Except of GC: cnitool names no attachments, and other runtimes none that stay, which is not the same.
impl PartialEq for Story {
    fn eq(&self, other: &Self) -> bool {
        let came_to = |story: &Self| {
            let mut steps = Vec::new();
            for (name, said) in &story.steps {
                if *name != "gc" {
                    steps.push((*name, said.is_ok()));
                }
            }
            steps
        };
        came_to(self) == came_to(other) && self.result == other.result
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, said) in &self.steps {
            match said {
                Ok(()) => writeln!(f, "  {name}: ok")?,
                Err(words) => writeln!(f, "  {name}: {words}")?,
            }
        }
        writeln!(f, "  {}", self.result)
    }
}

/// Nothing is held for the pod.
fn nobody(node: &Node) -> anyhow::Result<()> {
    let attachments = node.status()?.attachments;
    ensure!(attachments.is_empty(), "{attachments:?}");
    Ok(())
}

/// The pod's link is gone; a moment after the DEL, when the reaper came.
fn empty(pod: &Netns) -> anyhow::Result<()> {
    eventually("an empty sandbox", SOON, || {
        let links = pod.ip(&["-o", "link"])?;
        ensure!(links.lines().count() == 1, "{links}");
        Ok(())
    })
}

fn without_daemon(
    node: &Node,
    ask: impl Fn() -> anyhow::Result<Said<()>>,
) -> anyhow::Result<Said<()>> {
    node.stop_daemon(DAEMON_PATIENCE)?;
    let heartbeat = File::options()
        .write(true)
        .open(node.socket().with_extension("alive"))?;
    heartbeat.set_modified(SystemTime::now() - LONG_AGO)?;
    let said = ask()?;
    node.start_daemon(DAEMON_PATIENCE)?;
    Ok(said)
}

/// A result without what another pod would have otherwise, and without what Go prints of nothing.
fn without_chance(result: &Value) -> Value {
    let version = result["cniVersion"].as_str().and_then(Version::named);
    let parsed = version.and_then(|version| AddResult::parse(&result.to_string(), version).ok());
    let mut result = parsed.map_or(json!("no result"), |parsed| parsed.json().clone());
    if let Some(members) = result.as_object_mut() {
        members.retain(|_, value| *value != json!({}));
    }
    blur(&mut result);
    result
}

fn blur(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(blur),
        Value::Object(members) => blur_members(members),
        _ => {}
    }
}

fn blur_members(members: &mut Map<String, Value>) {
    for (key, value) in members {
        match (key.as_str(), &*value) {
            ("mac" | "sandbox", Value::String(_)) => *value = json!(key),
            ("name", Value::String(name)) if name != "eth0" => {
                // What is before the digits: the kind of link.
                *value = json!(name.get(..3));
            }
            ("address", Value::String(address)) => {
                *value = json!(address.split_once('/').map(|(_, length)| length));
            }
            _ => blur(value),
        }
    }
}
