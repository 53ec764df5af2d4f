//! Many containers at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::answer::Answer;
use crate::case::{Finding, Verdict, expect, wrong};
use crate::pod::Pod;
use crate::world::World;
use crate::world::traces::pause;

/// As many pods as kubelet may start on a node that comes up.
const CROWD: usize = 50;
/// "Try again later" (CNI specification, "Error"): a pool that grows under the crowd may say so.
const TRY_AGAIN: &str = "\"code\":11";
/// How long a runtime tries again.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn fifty_at_once(world: &World<'_>) -> Verdict {
    let held = held(world)?;
    let pods = pods(world, CROWD)?;
    let results = all(&pods, |pod| add(world, pod)?.result())?;
    for (list, member) in [
        ("ips", "address"),
        ("interfaces", "mac"),
        ("interfaces", "name"),
    ] {
        distinct(&results, list, member)?;
    }
    let pairs: Vec<_> = pods.iter().zip(&results).collect();
    all(&pairs, |(pod, result)| {
        world.run(&world.after("DEL", pod, result))?.silent()
    })?;
    let left = self::held(world)?;
    expect(held == left, || {
        format!("it holds {left:?} after all DELs, and {held:?} before")
    })
}

pub(super) fn adds_and_dels_at_once(world: &World<'_>) -> Verdict {
    let pods = pods(world, 8)?;
    let cycle = |pod: &Arc<Pod>| {
        for _ in 0..2 {
            let result = add(world, pod)?.result()?;
            world.run(&world.after("DEL", pod, &result))?.silent()?;
        }
        Ok(())
    };
    all(&pods, cycle).map(drop)
}

fn held(world: &World<'_>) -> Result<Option<Vec<String>>, Finding> {
    match world.held() {
        Err(Finding::Skip(_)) => Ok(None),
        held => held.map(Some),
    }
}

fn pods(world: &World<'_>, count: usize) -> Result<Vec<Arc<Pod>>, Finding> {
    Ok((0..count)
        .map(|_| world.another_pod())
        .collect::<Result<_, _>>()?)
}

/// ADD, again as long as the plugin says that it should be tried again.
fn add(world: &World<'_>, pod: &Pod) -> Result<Answer, Finding> {
    let call = world.call_for("ADD", pod);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = world.run(&call)?;
        let printed = String::from_utf8_lossy(&answer.stdout).replace(' ', "");
        if answer.succeeded() || !printed.contains(TRY_AGAIN) || Instant::now() >= deadline {
            return Ok(answer);
        }
        world.run(&call.clone().asking("DEL").unset("prevResult"))?;
        pause(Duration::from_millis(200));
    }
}

/// Runs `each` for all of them at once.
fn all<T: Sync, R: Send>(
    these: &[T],
    each: impl Fn(&T) -> Result<R, Finding> + Sync,
) -> Result<Vec<R>, Finding> {
    thread::scope(|scope| {
        let threads: Vec<_> = these.iter().map(|one| scope.spawn(|| each(one))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|ended| ended.unwrap_or_else(|_| wrong("a thread panicked")))
            .collect()
    })
}

/// What the results list must differ, but for the pod's own interface, which has the same name everywhere.
fn distinct(results: &[Value], list: &str, member: &str) -> Verdict {
    let mut seen = BTreeSet::new();
    for entry in results
        .iter()
        .flat_map(|result| result[list].as_array().into_iter().flatten())
    {
        let is_inside = entry["sandbox"]
            .as_str()
            .is_some_and(|path| !path.is_empty());
        let Some(value) = entry[member]
            .as_str()
            .filter(|_| member != "name" || !is_inside)
        else {
            continue;
        };
        // a bridge is in every result
        let is_shared =
            list == "interfaces" && !is_inside && results.iter().all(|result| lists(result, value));
        if !is_shared && !seen.insert(value) {
            return wrong(format!("two containers have the {member} {value}"));
        }
    }
    Ok(())
}

fn lists(result: &Value, value: &str) -> bool {
    let interfaces = result["interfaces"].as_array().into_iter().flatten();
    interfaces
        .into_iter()
        .any(|interface| interface["name"] == value || interface["mac"] == value)
}
