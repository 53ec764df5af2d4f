//! Something else on the node changes what berth has set up: berth notices, mends it within a second, counts it, and pods
//! go on. Who does it again and again is named, and costs little.

use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, ensure};
use e2e::cluster::{Cluster, Member};
use e2e::mock::INTERNET_HOST;
use e2e::netns::{Netns, output};
use e2e::node::Node;
use e2e::node::pod::Pod;
use e2e::probe::Patience;
use e2e::probe::ping::ping;

use crate::conversation::Conversation;
use crate::fixture::{SOON, T3_NANO, add_pods, config, eventually, logged, start, status_json};

/// What is promised is one second; what is waited for is what a machine with much to do may take.
const NOTICED: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// How long something fights.
const FIGHT: Duration = Duration::from_secs(12);

/// What is broken: the object as it is counted, how (`POD` is the host's link of the pod on eth1), and where it is seen.
const DAMAGE: [(&str, &str, &str); 19] = [
    ("rule", "ip rule del priority 512", "ip rule"),
    (
        "rule",
        "ip rule flush && ip rule add priority 32767 lookup default",
        "ip rule",
    ),
    ("nft", "nft flush chain ip berth steer", TABLE),
    ("nft", "nft flush map ip berth eni_of_veth", TABLE),
    ("nft", "nft insert rule ip berth egress accept", TABLE),
    ("nft", "nft delete table ip berth", TABLE),
    ("nft", "nft flush ruleset", TABLE),
    ("eni_route", "ip route del default table 2", ENI_ROUTES),
    ("eni_route", "ip route flush table 2", ENI_ROUTES),
    ("eni_link", "ip link set eth1 down", ENI_ROUTES),
    (
        "eni_link",
        "ip link set eth1 address 0a:58:00:00:00:77",
        "ip -o link show eth1 | grep -o 'ether [^ ]*'",
    ),
    (
        "eni_link",
        "ip link set eth1 mtu 1400",
        "ip -o link show eth1 | grep -o 'mtu [0-9]*'",
    ),
    (
        "eni_address",
        "ip address flush dev eth1",
        "ip -4 -o address show eth1; ip route show table 2",
    ),
    (
        "sysctl",
        "sysctl -qw net.ipv4.conf.eth1.rp_filter=1",
        "sysctl -n net.ipv4.conf.eth1.rp_filter",
    ),
    (
        "sysctl",
        "sysctl -qw net.ipv4.ip_forward=0",
        "sysctl -n net.ipv4.ip_forward",
    ),
    ("pod_route", "ip route flush table 20512", POD_ROUTES),
    ("pod_link", "ip link set POD down", POD_ROUTES),
    (
        "pod_link",
        "ip link set POD group 7000",
        "ip -o link show POD | grep -o 'group [0-9]*'",
    ),
    (
        "pod_link",
        "ip link set POD address 0a:58:00:00:00:78",
        "ip -o link show POD | grep -o 'ether [^ ]*'",
    ),
];
/// Sorted: a table that was made anew lists its chains in another order than one to which an ENI was added.
const TABLE: &str = "nft -s list table ip berth | sort";
const ENI_ROUTES: &str = "ip route show table 2";
const POD_ROUTES: &str = "ip route show table 20512";

/// Two nodes; on the first a pod on each of its two ENIs.
struct World {
    cluster: Cluster,
    pods: Vec<Pod>,
    /// The host's link of the pod on the second ENI.
    link: String,
}

impl World {
    fn start(name: &str) -> anyhow::Result<Option<Self>> {
        let Some(cluster) = start(config(name), T3_NANO, 2, &[])? else {
            return Ok(None);
        };
        let pods = add_pods(&cluster.members[0], "pod", 2)?;
        let netns = cluster.members[0].node.netns();
        let links = sh(netns, "ip -o link show group 7001")?;
        let link = links.split([':', '@']).nth(1).context("no pod on eth1")?;
        let link = link.trim().to_owned();
        Ok(Some(Self {
            cluster,
            pods,
            link,
        }))
    }

    fn member(&self) -> &Member {
        &self.cluster.members[0]
    }

    fn node(&self) -> &Node {
        &self.member().node
    }

    fn sh(&self, line: &str) -> anyhow::Result<String> {
        sh(self.node().netns(), &line.replace("POD", &self.link))
    }

    /// From each pod to the other node, and from there to each pod.
    fn pods_are_reached(&self) -> anyhow::Result<()> {
        let other = &self.cluster.members[1];
        for pod in &self.pods {
            ping(&pod.netns, other.address(), Patience::USUAL)?;
            ping(other.node.netns(), pod.address, Patience::USUAL)?;
        }
        Ok(())
    }

    fn repaired(&self, object: &str) -> anyhow::Result<u64> {
        let status = status_json(self.node())?;
        Ok(status["repairs"][object].as_u64().unwrap_or_default())
    }

    /// Breaks something and waits until it looks as `expected`; how long that took.
    fn mended(&self, damage: &str, look: &str, expected: &str) -> anyhow::Result<Duration> {
        self.sh(damage)?;
        let broken = Instant::now();
        loop {
            let found = self.sh(look).unwrap_or_default();
            let elapsed = broken.elapsed();
            if found == expected {
                return Ok(elapsed);
            }
            ensure!(
                elapsed < NOTICED,
                "{damage}: not mended within {NOTICED:?}: {look} says {found}"
            );
            thread::sleep(LOOK);
        }
    }
}

fn sh(netns: &Netns, line: &str) -> anyhow::Result<String> {
    output(netns.command("sh").args(["-c", line]))
}

#[test]
fn whatever_is_broken_is_mended_within_a_second() -> anyhow::Result<()> {
    let Some(world) = World::start("mend")? else {
        return Ok(());
    };
    let internet = world.cluster.internet()?;
    let talk = |pod: &Pod| Conversation::open(&pod.netns, &internet, INTERNET_HOST);
    let mut talks = world.pods.iter().map(talk).collect::<Result<Vec<_>, _>>()?;
    for (object, damage, look) in DAMAGE {
        let before = world.sh(look)?;
        let counted = world.repaired(object)?;
        let took = world
            .mended(damage, look, &before)
            .with_context(|| damage.to_owned())?;
        eprintln!("{damage}: mended after {} ms", took.as_millis());
        eventually("it is counted", SOON, || {
            ensure!(world.repaired(object)? > counted, "{object} not counted");
            Ok(())
        })?;
        world
            .pods_are_reached()
            .with_context(|| damage.to_owned())?;
        for talk in &mut talks {
            talk.goes_on().with_context(|| damage.to_owned())?;
        }
    }
    told_with_fields(world.node())
}

/// Each repair is one line that names the object.
fn told_with_fields(node: &Node) -> anyhow::Result<()> {
    let warnings = logged(node, "WARN")?;
    let of_rule = warnings
        .iter()
        .find(|line| line["object"] == "rule")
        .context("no repair of a rule in the log")?;
    let what = of_rule["what"].as_str().unwrap_or_default();
    ensure!(what.contains("lookup"), "the log says {of_rule}");
    Ok(())
}

#[test]
fn a_renamed_eni_is_still_that_eni() -> anyhow::Result<()> {
    let Some(world) = World::start("rename")? else {
        return Ok(());
    };
    let entry = r#"nft list chain ip berth entry | grep -o 'iifname "[a-z0-9]*"'"#;
    let took = world.mended("ip link set eth0 name ens5", entry, "iifname \"ens5\"\n")?;
    eprintln!("renamed primary: mended after {} ms", took.as_millis());
    world.sh("ip link set eth1 name ens6")?;
    world.pods_are_reached()?;
    // And by its new name it is looked after as before.
    let filter = "sysctl -n net.ipv4.conf.ens6.rp_filter";
    world.mended("sysctl -qw net.ipv4.conf.ens6.rp_filter=1", filter, "2\n")?;
    world.mended("ip link set ens6 down", ENI_ROUTES, &world.sh(ENI_ROUTES)?)?;
    world.pods_are_reached()
}

#[test]
fn who_fights_is_named_and_costs_little() -> anyhow::Result<()> {
    let Some(world) = World::start("fight")? else {
        return Ok(());
    };
    let before = world.sh(TABLE)?;
    let used = cpu_seconds(world.node())?;
    let begun = Instant::now();
    let mut flushed = 0;
    while begun.elapsed() < FIGHT {
        world.sh("nft flush chain ip berth egress 2>/dev/null || true")?;
        flushed += 1;
        thread::sleep(Duration::from_millis(50));
    }
    let mended = world.repaired("nft")?;
    let used = cpu_seconds(world.node())? - used;
    eprintln!("flushed {flushed} times, mended {mended} times with {used:.2} s of a CPU");
    // 16 at once, then one in 2 s.
    ensure!((10..=30).contains(&mended), "mended {mended} times");
    ensure!(used < FIGHT.as_secs_f64() / 4.0, "{used} s of a CPU");
    let status = status_json(world.node())?;
    let disputes = status["disputes"].to_string();
    ensure!(disputes.contains("nft: mended"), "disputes: {disputes}");
    let warnings = logged(world.node(), "WARN")?;
    let named = |line: &&serde_json::Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.starts_with("something else keeps changing")
    };
    ensure!(warnings.iter().filter(named).count() == 1, "not named once");
    // Another part is mended as quickly as ever, and this one as soon as it is left alone.
    world.mended("ip rule del priority 512", "ip rule", &world.sh("ip rule")?)?;
    eventually("the table as before", SOON, || {
        ensure!(world.sh(TABLE)? == before, "the table differs");
        Ok(())
    })?;
    world.pods_are_reached()
}

/// What the daemon and the programs that it ran have used.
fn cpu_seconds(node: &Node) -> anyhow::Result<f64> {
    let lock = format!("{}.lock", node.checkpoint().display());
    let pid = fs::read_to_string(lock)?;
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()))?;
    // proc(5): utime, stime, cutime and cstime are fields 14 to 17; the name, field 2, is in brackets.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on every architecture that Linux has today.
    Ok(ticks as f64 / 100.0)
}
