//! The floor is honest: a pod of it has all that one of berth's has, and is reached as one of berth's. Otherwise the ratios
//! to it would say nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use bench::add::chain::Chain;
use bench::add::contest::{empty, fill};
use bench::add::contestant::{Contestant, Pod};
use bench::add::floor::Floor;
use bench::add::stand::{FLOOR_PODS, launch, stock};
use e2e::netns::{Netns, require_netns};
use serde_json::{Map, Value};

/// What differs between any two pods, counters, and the alias, by which berth finds its own again: the floor does without.
const OWN: [&str; 11] = [
    "ifindex",
    "link_index",
    "link_netnsid",
    "ifname",
    "ifalias",
    "address",
    "gc_stale",
    "stats64",
    "txqlen",
    "group_index",
    "link",
];

#[test]
fn a_pod_of_the_floor_has_what_one_of_berths_has() {
    if !require_netns().unwrap() {
        return;
    }
    let mut cluster = launch("m5.24xlarge", 2, &[]).unwrap();
    let [ours, bare] = &mut cluster.members[..] else {
        panic!("two nodes")
    };
    stock(&mut ours.node, 0).unwrap();
    let berth = Chain::of_berth(&ours.node).unwrap();
    let floor = Floor::start(bare.node.netns(), bare.node.dir(), FLOOR_PODS).unwrap();
    let (of_berth, of_floor) = (Stood::on(&berth), Stood::on(&floor));
    assert_eq!(of_floor.seen(), of_berth.seen());
    for (stood, contestant) in [(of_berth, &berth as &dyn Contestant), (of_floor, &floor)] {
        stood.is_reached();
        stood.goes(contestant);
    }
}

/// A pod that was added, and where its links are.
struct Stood<'a> {
    node: &'a Netns,
    pod: Pod,
    inside: Netns,
    host_ifname: String,
    address: String,
}

impl<'a> Stood<'a> {
    fn on(contestant: &'a dyn Contestant) -> Self {
        let node = contestant.node();
        let pod = fill(contestant, 1).unwrap().remove(0);
        let inside = Netns::existing(pod.netns()).unwrap();
        let links = json(node, &["link"]);
        let host = links
            .iter()
            .find(|link| text(link, "ifname").starts_with("eni"));
        let host_ifname = text(host.expect("a host end"), "ifname");
        let addresses = json(&inside, &["-4", "address", "show", "dev", "eth0"]);
        let address = text(&addresses[0]["addr_info"][0], "local");
        Self {
            node,
            pod,
            inside,
            host_ifname,
            address,
        }
    }

    /// All that was made for the pod, without what differs between any two.
    fn seen(&self) -> Vec<String> {
        let host = self.host_ifname.as_str();
        let seen = [
            json(self.node, &["-d", "link", "show", "dev", host]),
            json(self.node, &["route", "show", "table", "20512"]),
            json(&self.inside, &["-d", "link", "show", "dev", "eth0"]),
            json(&self.inside, &["-4", "address", "show", "dev", "eth0"]),
            json(&self.inside, &["-4", "route", "show", "table", "all"]),
            json(&self.inside, &["rule"]),
            json(&self.inside, &["neigh", "show", "nud", "permanent"]),
        ];
        let mut lines: Vec<String> = seen
            .iter()
            .flatten()
            .map(|object| self.blank(object))
            .collect();
        let path = format!("/proc/sys/net/ipv6/conf/{host}/disable_ipv6");
        let disabled = self.node.run(|| std::fs::read_to_string(path));
        lines.push(format!("disable_ipv6 {:?}", disabled.unwrap()));
        lines.sort();
        lines
    }

    fn blank(&self, object: &Value) -> String {
        let object: Map<String, Value> = object.as_object().unwrap().clone();
        let kept = object
            .into_iter()
            .filter(|(key, _)| !OWN.contains(&key.as_str()));
        let kept = Value::Object(kept.collect()).to_string();
        let mac = text(
            &json(self.node, &["link", "show", "dev", &self.host_ifname])[0],
            "address",
        );
        kept.replace(&mac, "HOST-MAC")
            .replace(&self.host_ifname, "HOST")
            .replace(&self.address, "POD")
    }

    fn is_reached(&self) {
        // ping -c 1 -W 5 ADDRESS
        let mut ping = self.node.command("ping");
        ping.args(["-c", "1", "-W", "5", &self.address]);
        e2e::netns::output(&mut ping).unwrap();
    }

    /// DEL takes the route before it answers, and the link soon after.
    fn goes(self, contestant: &dyn Contestant) {
        let mut pods = [self.pod];
        empty(contestant, &mut pods).unwrap();
        let routes = self
            .node
            .ip(&["route", "show", "table", "20512"])
            .unwrap_or_default();
        assert!(!routes.contains(&self.address), "{routes}");
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.node.ip(&["link"]).unwrap().contains(&self.host_ifname) {
            assert!(Instant::now() < deadline, "{} stays", self.host_ifname);
            sleep(Duration::from_millis(50));
        }
    }
}

fn json(netns: &Netns, arguments: &[&str]) -> Vec<Value> {
    let all = [&["-j"], arguments].concat();
    serde_json::from_str(&netns.ip(&all).unwrap()).unwrap()
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}
