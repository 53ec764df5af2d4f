//! Pods come and go: the same name again and again, DELs that are late, DELs and ADDs that meet no daemon, clients that
//! vanish.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::mock::{Fault, FaultKind};
use e2e::netns::Netns;
use e2e::netns::snapshot::Snapshot;
use e2e::node::pod::Pod;
use e2e::node::programs::{BERTH_CNI, cni_path, find};
use e2e::node::{Node, POD_NAMESPACE};
use e2e::probe::Patience;
use e2e::probe::sweep::ping_all;
use e2e::runtime::attachment::{Attachment, random_container_id};

use crate::fixture::{
    M5_LARGE, SOON, add_pods, answer, config, eventually, leg, no_pods_left, start, status_json,
};
use crate::verbs::{CONFLICT, sandbox};
use crate::watch::Watch;

/// How often the pod is made anew.
const GENERATIONS: usize = 100;

/// The table with the routes to pods.
const POD_TABLE: &str = "20512";

#[test]
fn same_pod_name_recreated_100_times() -> anyhow::Result<()> {
    let settings = [("IP_COOLDOWN_PERIOD", "1")];
    let Some(cluster) = start(config("again"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let before = Snapshot::take(member.node.netns())?;
    let mut addresses = BTreeSet::new();
    let mut live = member.node.add_pod("db-0", &[])?;
    for generation in 0..GENERATIONS {
        // a StatefulSet deletes first, but the sandbox of the old pod may outlive the new one's ADD
        let next = if generation % 2 == 0 {
            let next = member.node.add_pod("db-0", &[])?;
            member.node.del_pod(live)?;
            next
        } else {
            addresses.insert(live.address);
            let last = live.address;
            member.node.del_pod(live)?;
            let next = member.node.add_pod("db-0", &[])?;
            ensure!(next.address != last, "{last} was given again at once");
            next
        };
        answer(member, std::slice::from_ref(&next)).with_context(|| format!("pod {generation}"))?;
        addresses.insert(next.address);
        live = next;
        let known = member.node.status()?.attachments;
        ensure!(
            known.len() == 1 && known[0].address == live.address,
            "pod {generation}: one lives at {}, the daemon knows {known:?}",
            live.address
        );
    }
    member.node.del_pod(live)?;
    let addresses: Vec<_> = addresses.into_iter().collect();
    no_pods_left(&member.node, &before, &addresses)?;
    member.settled(cluster.cloud(), SOON)?;
    ensure!(member.node.status()?.addresses.used == 0);
    Ok(())
}

#[test]
fn del_of_the_old_sandbox_after_add_of_the_new_one() -> anyhow::Result<()> {
    let Some(cluster) = start(config("late"), M5_LARGE, 2, &[])? else {
        return Ok(());
    };
    let [member, other] = &cluster.members[..] else {
        anyhow::bail!("two nodes were asked for")
    };
    let old = member.node.add_pod("db-0", &[])?;
    let new = member.node.add_pod("db-0", &[])?;
    ensure!(old.address != new.address, "both are at {}", new.address);
    let legs = [
        leg(member.node.netns(), new.address),
        leg(other.node.netns(), new.address),
        leg(&new.netns, other.address()),
    ];
    let watch = Watch::start(legs)?;
    let (attachment, gone) = (old.attachment.clone(), old.address);
    member.node.del_pod(old)?;
    // kubelet repeats the DEL of a sandbox that is gone
    member
        .node
        .runtime()
        .del(member.node.netns(), &attachment)?;
    // the reaper takes the old link a moment later: it must be the old one's
    thread::sleep(Duration::from_secs(2));
    watch.finish()?;
    let host = Snapshot::take(member.node.netns())?;
    let links = host.section("link").iter();
    let links: Vec<_> = links.filter(|line| line.contains("berth:")).collect();
    ensure!(
        links.len() == 1 && links[0].contains(&new.attachment.container_id),
        "links of pods: {links:?}"
    );
    let routes = host.section("route").iter();
    let routes: Vec<_> = routes
        .filter(|line| line.contains(&format!("dst {gone} ")))
        .collect();
    ensure!(routes.is_empty(), "routes to the old pod: {routes:?}");
    member.node.del_pod(new).map(drop)
}

#[test]
fn add_of_another_container_right_after_del_in_the_same_namespace() -> anyhow::Result<()> {
    let Some(cluster) = start(config("heir"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let (runtime, host) = (member.node.runtime(), member.node.netns());
    let before = Snapshot::take(host)?;
    let first = sandbox("heir")?;
    let mut last = first.attachment.clone();
    runtime.add(host, &last)?;
    for generation in 0..10 {
        let heir = Attachment {
            container_id: random_container_id()?,
            ..last.clone()
        };
        let links = first.netns.ip(&["-o", "link"])?;
        let refused = runtime
            .add(host, &heir)
            .err()
            .context("two have one eth0")?;
        let refused = refused.reported().context("not an error of the plugin")?;
        ensure!(refused.code == CONFLICT, "{refused}");
        ensure!(first.netns.ip(&["-o", "link"])? == links, "it was touched");
        runtime.del(host, &last)?;
        let added = runtime.add(host, &heir);
        let added = added.with_context(|| format!("container {generation}"))?;
        let address = added.result.pod_address().context("no address")?;
        ping_all(&[leg(host, address)], Patience::USUAL)?;
        last = heir;
    }
    // the reaper comes a moment later, to what is left for it only
    thread::sleep(Duration::from_secs(1));
    runtime.check(host, &last)?;
    runtime.del(host, &last)?;
    no_pods_left(&member.node, &before, &[])
}

#[test]
fn del_while_the_daemon_is_away() -> anyhow::Result<()> {
    let Some(cluster) = start(config("away"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let node = &member.node;
    let mut pods = add_pods(member, "pod", 3)?;
    let kept = pods.pop().context("three pods")?;
    node.kill_daemon()?;
    let [lingering, gone] = <[Pod; 2]>::try_from(pods).map_err(|_| anyhow::anyhow!("two pods"))?;
    // one whose namespace is still there, so that nothing of it goes by itself, and one whose namespace is gone
    node.runtime().del(node.netns(), &lingering.attachment)?;
    let gone_address = gone.address;
    node.del_pod(gone)?;
    let tombstones = node.socket().with_file_name("tombstones");
    ensure!(
        fs::read_dir(&tombstones)?.count() == 2,
        "two DELs met no daemon"
    );
    ensure!(
        mentions(node, &lingering)? > 0,
        "the link went without a daemon: the test tests nothing"
    );
    node.start_daemon(DAEMON_PATIENCE)?;
    eventually("the tombstones are replayed", SOON, || {
        ensure!(fs::read_dir(&tombstones)?.count() == 0, "tombstones left");
        ensure!(
            mentions(node, &lingering)? == 0,
            "its link or route is left"
        );
        let known = node.status()?.attachments;
        ensure!(
            known.len() == 1 && known[0].address == kept.address,
            "the daemon knows {known:?}"
        );
        Ok(())
    })?;
    let status = node.status()?;
    for address in [lingering.address, gone_address] {
        let state = status.enis.iter().find_map(|eni| eni.held.get(&address));
        let state = state.with_context(|| format!("{address} is not held any more"))?;
        ensure!(state.starts_with("cooling"), "{address} is {state}");
    }
    answer(member, &[kept])
}

/// How many links and routes of the host are `pod`'s.
fn mentions(node: &Node, pod: &Pod) -> anyhow::Result<usize> {
    let host = Snapshot::take(node.netns())?;
    let links = host.section("link").iter();
    let links = links.filter(|line| line.contains(&pod.attachment.container_id));
    let routes = host.section("route").iter();
    let routes = routes
        .filter(|line| line.contains(&format!("dst {} ", pod.address)) && line.contains(POD_TABLE));
    Ok(links.count() + routes.count())
}

#[test]
fn add_while_the_daemon_restarts() -> anyhow::Result<()> {
    let Some(cluster) = start(config("restart"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    member.node.kill_daemon()?;
    let pod = thread::scope(|scope| -> anyhow::Result<Pod> {
        let add = scope.spawn(|| member.node.add_pod("early", &[]));
        thread::sleep(Duration::from_secs(1));
        member.node.start_daemon(DAEMON_PATIENCE)?;
        add.join().expect("the ADD panicked")
    })?;
    ensure!(
        pod.added.times[0].elapsed >= Duration::from_secs(1),
        "the ADD was served without a daemon"
    );
    answer(member, &[pod])
}

#[test]
fn client_gone_is_rolled_back() -> anyhow::Result<()> {
    let Some(cluster) = start(config("gone"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    slow_down(&cluster);
    // the reserve goes, so that the next one has to wait
    let pods = add_pods(member, "pod", 2)?;
    let before = Snapshot::take(member.node.netns())?;
    let sandbox = Netns::unique("gone-sandbox")?;
    let id = random_container_id()?;
    let attachment = Attachment::of_pod(POD_NAMESPACE, "doomed", id, sandbox.path().to_owned());
    let mut plugin = plugin_add(&member.node, &attachment)?;
    eventually("the ADD waits", SOON, || waits(member, &attachment, true))?;
    // SIGKILL, as the runtime does with a plugin that takes too long
    plugin.kill()?;
    plugin.wait()?;
    eventually("the wait ends", SOON, || waits(member, &attachment, false))?;
    cluster.cloud().clear_faults();
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    let status = member.node.status()?;
    let live: BTreeSet<_> = pods.iter().map(|pod| pod.address).collect();
    let known: BTreeSet<_> = status.attachments.iter().map(|a| a.address).collect();
    ensure!(
        known == live,
        "live pods {live:?}, the daemon knows {known:?}"
    );
    ensure!(
        status.addresses.cooling == 0,
        "an address was spent on it: {:?}",
        status.addresses
    );
    member
        .node
        .runtime()
        .del(member.node.netns(), &attachment)?;
    let links = sandbox.ip(&["-o", "link"])?;
    ensure!(links.lines().count() == 1, "in the sandbox: {links}");
    no_pods_left(&member.node, &before, &[])
}

/// Assign takes so long that whoever needs it waits.
fn slow_down(cluster: &Cluster) {
    let slow = FaultKind::Slow { ms: 3_000 };
    cluster
        .cloud()
        .fault(Fault::always("AssignPrivateIpAddresses", slow));
}

fn waits(member: &Member, attachment: &Attachment, wanted: bool) -> anyhow::Result<()> {
    let status = status_json(&member.node)?;
    let waiting = status["waiting"].to_string();
    ensure!(
        waiting.contains(&attachment.container_id) == wanted,
        "waiting: {waiting}"
    );
    Ok(())
}

/// Starts the plugin's ADD and leaves it running.
fn plugin_add(node: &Node, attachment: &Attachment) -> anyhow::Result<Child> {
    let list = node.runtime().conflist();
    let mut conf = list.raw()["plugins"][0].clone();
    conf["name"] = list.name().into();
    conf["cniVersion"] = list.version().as_str().into();
    let mut command = std::process::Command::new(find(BERTH_CNI)?);
    command
        .env("CNI_COMMAND", "ADD")
        .env("CNI_CONTAINERID", &attachment.container_id)
        .env("CNI_NETNS", &attachment.netns)
        .env("CNI_IFNAME", &attachment.ifname)
        .env("CNI_ARGS", attachment.cni_args())
        .env("CNI_PATH", &cni_path()[0])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = node.netns().spawn(&mut command)?;
    let stdin = child.stdin.take().context("no stdin")?;
    serde_json::to_writer(stdin, &conf)?;
    Ok(child)
}
