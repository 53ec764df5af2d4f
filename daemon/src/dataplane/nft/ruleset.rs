//! What the table should contain. In nft's own language it reads:
//!
//! ```text
//! map eni_of_veth { type devgroup : verdict; elements = { 6999 : drop, 7000 : jump eni0, 7001 : jump eni1 } }
//! counter unmapped { }
//! chain eni0 { accept; }
//! chain eni1 { meta mark set meta mark & 0xffffff81 | 0x2 accept; }
//! chain primary { meta mark set meta mark | 0x80 accept; }
//! chain opening {                              # once per connection, kept in the conntrack mark
//!   ip daddr 10.0.0.0/16 return                # one per VPC or excluded CIDR
//!   fib daddr type local return
//!   ct mark set ct mark | 0x80
//! }
//! chain entry { type filter hook prerouting priority mangle;         # before DNAT: NodePort, hostPort
//!   iifname "eth0" ct mark & 0x80 == 0 fib daddr . iif type local ct mark set ct mark | 0x80
//! }
//! chain steer { type filter hook prerouting priority dstnat + 10;    # after DNAT, before routing
//!   meta mark & 0xfe != 0 meta mark set meta mark & 0xffffff01
//!   iifgroup < 6999 accept
//!   ct state new ct direction original jump opening
//!   ct mark & 0x80 == 0x80 goto primary
//!   iifgroup vmap @eni_of_veth
//!   counter name unmapped
//! }
//! chain egress { type nat hook postrouting priority srcnat + 10;     # after kube-proxy: the first NAT wins
//!   ip daddr 10.0.0.0/16 accept
//!   oifname "vlan*" accept
//!   fib daddr type local accept
//!   snat to <primary> fully-random
//! }
//! ```
//!
//! Nothing in it depends on a pod. A veth's group is enough to know its ENI, so the name of a veth (another plugin's
//! `vethX` as well) does not matter, and a packet with a forged source still leaves by its pod's own ENI. Without SNAT on
//! the node `opening` and `egress` are empty, as aws-node's chains are; without NodePort support `entry` is.

use std::collections::BTreeMap;

use ipam::desired::{
    EniDesired, GROUP_BASE, NodeDesired, PrimaryMark, REAPER_GROUP, Randomize, Snat,
};
use serde_json::{Value, json};

/// The chains and elements of the table, as `nft -j` takes them.
#[derive(Debug, PartialEq)]
pub(super) struct Ruleset {
    /// In an order in which no chain is named before it exists.
    pub(super) chains: Vec<Chain>,
    /// Verdict by group.
    pub(super) elements: BTreeMap<u32, Value>,
}

/// A chain with its rules' expressions.
#[derive(Debug, PartialEq)]
pub(super) struct Chain {
    pub(super) name: String,
    pub(super) hook: Option<Hook>,
    pub(super) rules: Vec<Value>,
}

/// Where packets enter a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    pub(super) kind: String,
    pub(super) hook: String,
    pub(super) priority: i64,
}

// netfilter_ipv4.h, enum nf_ip_hook_priorities: NF_IP_PRI_MANGLE, _NAT_DST, _NAT_SRC.
const MANGLE: i64 = -150;
const AFTER_DNAT: i64 = -100 + 10;
const AFTER_SNAT: i64 = 100 + 10;

impl Ruleset {
    pub(super) fn of(desired: &NodeDesired, primary: &str) -> Self {
        let internal: Vec<Value> = desired.internal_cidrs.iter().map(to).collect();
        let mut chains: Vec<Chain> = desired.enis.iter().map(|e| eni(e, desired)).collect();
        let mark = desired.primary_mark.map(PrimaryMark::bits);
        let marked = |mark| json!([set("meta", or("meta", mark)), accept()]);
        chains.push(Chain::plain(
            "primary",
            mark.map(marked).into_iter().collect(),
        ));
        chains.push(Chain::plain("opening", opening(desired, &internal)));
        let entry = mark
            .filter(|_| desired.node_port)
            .map(|mark| entry(primary, mark));
        chains.push(Chain::base(
            "entry",
            ("filter", "prerouting", MANGLE),
            entry.into_iter().collect(),
        ));
        chains.push(Chain::base(
            "steer",
            ("filter", "prerouting", AFTER_DNAT),
            steer(desired),
        ));
        chains.push(Chain::base(
            "egress",
            ("nat", "postrouting", AFTER_SNAT),
            egress(desired.snat, &internal),
        ));
        // A pod whose DEL was answered must not send any more: its address may soon be another's.
        let mut elements = BTreeMap::from([(REAPER_GROUP, json!({ "drop": null }))]);
        elements.extend(
            desired
                .enis
                .iter()
                .map(|e| (e.group, json!({ "jump": { "target": chain_of(e) } }))),
        );
        Self { chains, elements }
    }
}

impl Chain {
    fn plain(name: &str, rules: Vec<Value>) -> Self {
        Self {
            name: name.to_owned(),
            hook: None,
            rules,
        }
    }

    fn base(name: &str, (kind, hook, priority): (&str, &str, i64), rules: Vec<Value>) -> Self {
        let hook = Hook {
            kind: kind.to_owned(),
            hook: hook.to_owned(),
            priority,
        };
        Self {
            hook: Some(hook),
            ..Self::plain(name, rules)
        }
    }
}

fn chain_of(eni: &EniDesired) -> String {
    format!("eni{}", eni.device_index)
}

/// Marks for the ENI's table; the primary needs no mark, its table is main.
fn eni(eni: &EniDesired, desired: &NodeDesired) -> Chain {
    let marked = json!({ "|": [and("meta", !desired.mask.bits()), eni.mark] });
    let rule = match eni.mark {
        0 => json!([accept()]),
        _ => json!([set("meta", marked), accept()]),
    };
    Chain::plain(&chain_of(eni), vec![rule])
}

/// Traffic that leaves the VPC goes by the primary ENI, where it is translated. Decided once: a CIDR that is added later
/// must not change the source of a running connection.
fn opening(desired: &NodeDesired, internal: &[Value]) -> Vec<Value> {
    let (Some(_), Some(mark)) = (desired.snat, desired.primary_mark) else {
        return Vec::new();
    };
    let local = json!([fib(&["daddr"]), { "return": null }]);
    let mut rules: Vec<Value> = internal
        .iter()
        .map(|to| with(to, json!({ "return": null })))
        .collect();
    rules.push(local);
    rules.push(json!([set("ct", or("ct", mark.bits()))]));
    rules
}

/// What came in by the primary ENI for one of its addresses (NodePort, hostPort) is answered by it.
fn entry(primary: &str, mark: u32) -> Value {
    json!([
        matches("==", meta("iifname"), json!(primary)),
        matches("==", and("ct", mark), json!(0)),
        fib(&["daddr", "iif"]),
        set("ct", or("ct", mark)),
    ])
}

/// The order is load-bearing: after DNAT, because a ClusterIP is in no VPC; and first away with our bits, whoever set
/// them, without touching anybody else's.
fn steer(desired: &NodeDesired) -> Vec<Value> {
    let mark = desired.primary_mark.map(PrimaryMark::bits);
    let ours = desired.mask.bits() | mark.unwrap_or(0);
    let primary = mark.map(|mark| {
        json!([
            matches("==", and("ct", mark), json!(mark)),
            { "goto": { "target": "primary" } },
        ])
    });
    let mut rules = vec![
        json!([
            matches("!=", and("meta", ours), json!(0)),
            set("meta", and("meta", !ours)),
        ]),
        json!([
            matches("<", meta("iifgroup"), json!(REAPER_GROUP.min(GROUP_BASE))),
            accept(),
        ]),
        json!([
            matches("in", json!({ "ct": { "key": "state" } }), json!("new")),
            matches("==", json!({ "ct": { "key": "direction" } }), json!("original")),
            { "jump": { "target": "opening" } },
        ]),
    ];
    rules.extend(primary);
    rules.push(json!([{ "vmap": { "key": meta("iifgroup"), "data": "@eni_of_veth" } }]));
    rules.push(json!([{ "counter": "unmapped" }]));
    rules
}

fn egress(snat: Option<Snat>, internal: &[Value]) -> Vec<Value> {
    let Some(snat) = snat else { return Vec::new() };
    let mut rules: Vec<Value> = internal.iter().map(|to| with(to, accept())).collect();
    // Branch ENIs' VLAN links, as aws-node: their traffic has its own way out.
    rules.push(json!([
        matches("==", meta("oifname"), json!("vlan*")),
        accept()
    ]));
    rules.push(json!([fib(&["daddr"]), accept()]));
    let address = snat.to.to_string();
    rules.push(match snat.randomize {
        Randomize::Fully => json!([{ "snat": { "addr": address, "flags": "fully-random" } }]),
        Randomize::Hash => json!([{ "snat": { "addr": address, "flags": "random" } }]),
        Randomize::No => json!([{ "snat": { "addr": address } }]),
    });
    rules
}

/// `ip daddr <cidr>`; everything, for which nft has no match, matches without one.
fn to(cidr: &ipnet::Ipv4Net) -> Value {
    if cidr.prefix_len() == 0 {
        return json!([]);
    }
    let daddr = json!({ "payload": { "protocol": "ip", "field": "daddr" } });
    let right =
        json!({ "prefix": { "addr": cidr.network().to_string(), "len": cidr.prefix_len() } });
    json!([matches("==", daddr, right)])
}

fn with(conditions: &Value, verdict: Value) -> Value {
    let conditions = conditions.as_array().into_iter().flatten().cloned();
    Value::Array(conditions.chain([verdict]).collect())
}

fn matches(op: &str, left: Value, right: Value) -> Value {
    json!({ "match": { "op": op, "left": left, "right": right } })
}

fn meta(key: &str) -> Value {
    json!({ "meta": { "key": key } })
}

/// `<of> mark`, of the packet (`meta`) or its connection (`ct`).
fn mark(of: &str) -> Value {
    json!({ of: { "key": "mark" } })
}

fn and(of: &str, bits: u32) -> Value {
    json!({ "&": [mark(of), bits] })
}

fn or(of: &str, bits: u32) -> Value {
    json!({ "|": [mark(of), bits] })
}

fn set(of: &str, value: Value) -> Value {
    json!({ "mangle": { "key": mark(of), "value": value } })
}

fn fib(of: &[&str]) -> Value {
    let left = json!({ "fib": { "result": "type", "flags": of } });
    matches("==", left, json!("local"))
}

fn accept() -> Value {
    json!({ "accept": null })
}
