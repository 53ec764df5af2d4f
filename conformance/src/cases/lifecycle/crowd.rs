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
/// What each container has for itself.
const ALONE: [(&str, &str); 3] = [
    ("ips", "address"),
    ("interfaces", "mac"),
    ("interfaces", "name"),
];
/// "Try again later" (CNI specification, "Error"): a pool that grows under the crowd may say so.
const TRY_AGAIN: &str = "\"code\":11";
/// How long a runtime tries again.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn fifty_at_once(world: &World<'_>) -> Verdict {
    let held = held(world)?;
    let pods = pods(world, CROWD)?;
    let results = all(&pods, |pod| add(world, pod)?.result())?;
    for (list, member) in ALONE {
        distinct(&results, list, member)?;
    }
    let pairs: Vec<_> = pods.iter().zip(&results).collect();
    all(&pairs, |(pod, result)| {
        world.run(&world.after("DEL", pod, result))?.success()
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
            world.run(&world.after("DEL", pod, &result))?.success()?;
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

/// What the results list must differ, but for the pods' own interface, which has the same name everywhere, and what all
/// of them share, such as a bridge: whose address may still change while its first ports come.
fn distinct(results: &[Value], list: &str, member: &str) -> Verdict {
    let mut seen = BTreeSet::new();
    for entry in results.iter().flat_map(|result| entries(result, list)) {
        let is_inside = entry["sandbox"]
            .as_str()
            .is_some_and(|path| !path.is_empty());
        let Some(value) = entry[member]
            .as_str()
            .filter(|_| member != "name" || !is_inside)
        else {
            continue;
        };
        let is_shared = !is_inside && is_in_each(results, &entry["name"]);
        if !is_shared && !seen.insert(value) {
            return wrong(format!("two containers have the {member} {value}"));
        }
    }
    Ok(())
}

/// Whether each result has an interface of that name.
fn is_in_each(results: &[Value], name: &Value) -> bool {
    let has = |result| entries(result, "interfaces").any(|interface| interface["name"] == *name);
    name.is_string() && results.iter().all(has)
}

fn entries<'r>(result: &'r Value, list: &str) -> impl Iterator<Item = &'r Value> {
    result[list].as_array().into_iter().flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(bridge_mac: &str, veth: [&str; 2], address: &str) -> Value {
        json!({
            "interfaces": [
                {"name": "br0", "mac": bridge_mac},
                {"name": veth[0], "mac": veth[1]},
                {"name": "eth0", "mac": format!("{}:00", veth[1]), "sandbox": "/run/netns/a"},
            ],
            "ips": [{"address": address, "interface": 2}],
        })
    }

    #[test]
    fn containers_may_share_a_bridge_and_nothing_else() {
        let first = result("02:01", ["veth1", "02:11"], "10.0.0.1/24");
        // a bridge takes the lowest address of its ports until it is given one: not all ADDs see the same
        let others = [
            result("02:02", ["veth2", "02:12"], "10.0.0.2/24"),
            result("02:01", ["veth3", "02:13"], "10.0.0.3/24"),
        ];
        let all = [std::slice::from_ref(&first), &others[..]].concat();
        for (list, member) in ALONE {
            distinct(&all, list, member).unwrap();
        }
        for (twin, member) in [
            (result("02:01", ["veth1", "02:14"], "10.0.0.4/24"), "name"),
            (result("02:01", ["veth4", "02:11"], "10.0.0.4/24"), "mac"),
            (
                result("02:01", ["veth4", "02:14"], "10.0.0.1/24"),
                "address",
            ),
        ] {
            let all = [first.clone(), others[0].clone(), twin];
            let found = ALONE
                .iter()
                .filter(|(list, member)| distinct(&all, list, member).is_err());
            let found: Vec<&str> = found.map(|(_, member)| *member).collect();
            assert_eq!(found, [member]);
        }
    }
}
