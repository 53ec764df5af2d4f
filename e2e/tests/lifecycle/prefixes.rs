//! Prefixes: one ENI for many pods, single addresses where there is no prefix to be had, and the switch under running pods.

use std::time::Duration;

use anyhow::ensure;
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::node::pod::Pod;
use e2e::probe::Patience;
use e2e::probe::sweep::ping_all;

use crate::fixture::{
    M5_LARGE, RESERVE, SOON, add_pods, answer, config, del_pods, eventually, launch, leg, logged,
    reasons, start,
};

/// Switches prefixes on.
const PREFIXES: (&str, &str) = ("ENABLE_PREFIX_DELEGATION", "true");
/// Freed addresses may be had again at once: these tests are not about the rest.
const NO_COOLDOWN: (&str, &str) = ("IP_COOLDOWN_PERIOD", "0");
/// Where the level is fixed, what was free for 60 s is given back (`ipam::policy::Patience`).
const AGED: Duration = Duration::from_secs(90);

/// ENIs of a node, its single addresses and its prefixes, as EC2 has them.
fn held(cluster: &Cluster, member: &Member) -> (usize, usize, usize) {
    let enis = cluster.cloud().enis_of(&member.instance.instance_id);
    let singles = enis.iter().map(|eni| eni.secondary.len()).sum();
    let prefixes = enis.iter().map(|eni| eni.prefixes.len()).sum();
    (enis.len(), singles, prefixes)
}

/// Every pod reaches every node's first pod.
fn reach_each_other(groups: &[&[Pod]]) -> anyhow::Result<()> {
    let firsts: Vec<_> = groups.iter().map(|pods| pods[0].address).collect();
    let legs: Vec<_> = groups
        .iter()
        .flat_map(|pods| pods.iter())
        .flat_map(|pod| firsts.iter().map(move |to| leg(&pod.netns, *to)))
        .collect();
    ping_all(&legs, Patience::USUAL).map(drop)
}

#[test]
fn thirty_pods_live_on_one_eni_and_what_they_leave_goes_back_whole() -> anyhow::Result<()> {
    let settings = [PREFIXES, NO_COOLDOWN, ("WARM_IP_TARGET", "1")];
    let Some(cluster) = start(config("pfx"), M5_LARGE, 2, &settings)? else {
        return Ok(());
    };
    let (a, b) = (&cluster.members[0], &cluster.members[1]);
    assert_eq!(held(&cluster, a), (1, 0, 1), "an idle node");
    let many = add_pods(a, "many", 30)?;
    let few = add_pods(b, "few", 2)?;
    assert_eq!(held(&cluster, a), (1, 0, 2));
    answer(a, &many)?;
    reach_each_other(&[&many, &few])?;

    // A free address of the node's own prefix is refused, from the other node's pod too.
    let status = a.node.status()?;
    let free = status
        .holdings()
        .into_keys()
        .find(|ip| many.iter().all(|pod| pod.address != *ip));
    let free = free.expect("32 addresses, 30 pods");
    let told = few[0]
        .netns
        .command("ping")
        .args(["-c1", "-W5", &free.to_string()])
        .output()?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("Destination Host Unreachable"), "{told}");

    del_pods(a, many)?;
    eventually("one prefix left", AGED, || {
        let held = held(&cluster, a);
        ensure!(held == (1, 0, 1), "{held:?}");
        Ok(())
    })?;
    answer(b, &few)?;
    let routes = a.node.netns().ip(&["route", "show", "table", "20512"])?;
    assert_eq!(
        routes
            .lines()
            .filter(|line| line.contains("unreachable"))
            .count(),
        1,
        "{routes}"
    );
    del_pods(b, few)
}

/// Nothing is set: the default.
const MIXED: (&str, &str) = (PREFIXES.0, "");

#[test]
fn by_default_few_pods_get_single_addresses_and_a_burst_a_prefix_besides() -> anyhow::Result<()> {
    let settings = [MIXED, NO_COOLDOWN];
    let Some(cluster) = start(config("mixed"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "few", 2)?;
    member.settled(cluster.cloud(), SOON)?;
    let (enis, singles, prefixes) = held(&cluster, member);
    assert!((2..=2 + RESERVE).contains(&singles), "{singles}");
    assert_eq!((enis, prefixes), (1, 0));

    pods.extend(add_pods(member, "burst", 20)?);
    member.settled(cluster.cloud(), SOON)?;
    let (enis, singles, prefixes) = held(&cluster, member);
    assert!(
        enis == 1 && singles >= 2 && prefixes >= 1,
        "{enis} {singles} {prefixes}"
    );

    cluster.members[0].node.kill_daemon()?;
    cluster.start_daemons()?;
    let member = &cluster.members[0];
    answer(member, &pods)?;
    pods.extend(add_pods(member, "after", 1)?);
    answer(member, &pods)?;
    del_pods(member, pods)
}

#[test]
fn single_addresses_serve_where_the_subnet_is_fragmented_and_the_status_says_so()
-> anyhow::Result<()> {
    let Some(cluster) = launch(config("frag"), M5_LARGE, 1, &[PREFIXES])? else {
        return Ok(());
    };
    cluster.cloud().fragment()?;
    cluster.start_daemons()?;
    let member = &cluster.members[0];
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    // What a daemon that has just started holds is settled before it knows its node.
    eventually("the status says so", SOON, || {
        let told = reasons(&member.node)?;
        let it = |line: &String| line.starts_with("NoContiguousBlock: ");
        ensure!(told.iter().any(it), "{told:?}");
        Ok(())
    })?;
    let pods = add_pods(member, "single", 5)?;
    answer(member, &pods)?;
    let (enis, singles, prefixes) = held(&cluster, member);
    assert_eq!((enis, prefixes), (1, 0));
    assert!((5..=5 + RESERVE).contains(&singles), "{singles}");
    del_pods(member, pods)
}

#[test]
fn a_type_without_prefixes_is_served_with_single_addresses_and_a_warning() -> anyhow::Result<()> {
    // On Xen: 2 ENIs of 10 addresses.
    let Some(cluster) = start(config("xen"), "m4.large", 1, &[PREFIXES])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let pods = add_pods(member, "xen", 3)?;
    answer(member, &pods)?;
    assert_eq!(held(&cluster, member).2, 0);
    let warned = logged(&member.node, "WARN")?;
    let about = |line: &serde_json::Value| line.to_string().contains("ENABLE_PREFIX_DELEGATION");
    assert!(warned.iter().any(about), "{warned:?}");
    del_pods(member, pods)
}

#[test]
fn the_mode_is_switched_under_running_pods() -> anyhow::Result<()> {
    let Some(mut cluster) = start(config("switch"), M5_LARGE, 1, &[NO_COOLDOWN])? else {
        return Ok(());
    };
    let mut pods = Vec::new();
    for (turn, on) in ["true", "false", MIXED.1, "true"].into_iter().enumerate() {
        pods.extend(add_pods(&cluster.members[0], &format!("turn{turn}"), 3)?);
        cluster.members[0].node.stop_daemon(DAEMON_PATIENCE)?;
        cluster.members[0].node.set(PREFIXES.0, on);
        cluster.start_daemons()?;
        cluster.members[0].settled(cluster.cloud(), DAEMON_PATIENCE)?;
        answer(&cluster.members[0], &pods)?;
    }
    let member = &cluster.members[0];
    pods.extend(add_pods(member, "last", 12)?);
    answer(member, &pods)?;
    let (enis, singles, prefixes) = held(&cluster, member);
    assert!(
        enis == 1 && singles > 0 && prefixes > 0,
        "{enis} {singles} {prefixes}"
    );
    let status = member.node.status()?;
    for pod in &pods {
        assert!(
            status.eni_of(pod.address).is_some(),
            "{} is lost",
            pod.address
        );
    }
    del_pods(member, pods)
}
