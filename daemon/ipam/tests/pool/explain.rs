//! What is told of a node: each held address once, with the truth; and what is foretold happens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::address::AddressState;
use ipam::explain::{EniWhy, Next, Why};
use ipam::{
    Action, Explanation, FailureKind, Layout, Limits, PoolSettings, Reason, Timestamp, Verb,
    explain,
};

use crate::cloud::{Cloud, large_subnet, primary_id};
use crate::growth::{M5_LARGE, with_pods};
use crate::node::{End, Node};

const SECOND: Duration = Duration::from_secs(1);

/// What is told of `node`, with so many pods bound to it.
fn with_bound(node: &Node, bound: u32) -> Explanation {
    let mut view = node.view("told");
    view.demand.bound = bound;
    explain(&view, node.now)
}

fn told(node: &Node) -> Explanation {
    with_bound(node, 0)
}

/// How many addresses are held for which reason.
fn whys(told: &Explanation) -> BTreeMap<String, u32> {
    let mut whys = BTreeMap::new();
    for note in &told.addresses {
        let name = format!("{:?}", note.why);
        let name = name.split([' ', '{']).next().unwrap_or_default().to_owned();
        *whys.entry(name).or_default() += 1;
    }
    whys
}

fn are(told: &Explanation, expected: &[(&str, u32)]) {
    let expected = expected.iter().map(|(name, n)| ((*name).to_owned(), *n));
    assert_eq!(whys(told), expected.collect(), "{told:?}");
}

/// Each held address has exactly one explanation, which fits its state; so have each ENI and each prefix.
pub fn is_whole(node: &Node) {
    let told = told(node);
    let held = node.pool.addresses().filter(|(_, a)| a.is_held());
    let held: Vec<Ipv4Addr> = held.map(|(ip, _)| ip).collect();
    let explained: Vec<Ipv4Addr> = told.addresses.iter().map(|note| note.ip).collect();
    assert_eq!(explained, held);
    for note in &told.addresses {
        let address = node.pool.address(note.ip).expect("a held address");
        let fits = match (&address.state, &note.why) {
            (AddressState::Assigned { to }, Why::Pod { to: told }) => to == told,
            (AddressState::Cooling { until }, Why::Cooling { until: told }) => until == told,
            (AddressState::Quarantined { .. }, Why::Quarantined) => true,
            (AddressState::Unassigning, Why::Leaving) => true,
            (AddressState::Free { .. }, Why::NotShown { .. }) => {
                !address.is_free() || is_missed(node, note.ip)
            }
            (AddressState::Free { .. }, why) => !matches!(
                why,
                Why::Pod { .. } | Why::Cooling { .. } | Why::Quarantined
            ),
            _ => false,
        };
        assert!(fits, "{note:?}: {address:?}");
        assert!(note.goes.is_none_or(|at| at >= node.now), "{note:?}");
        let used = matches!(note.why, Why::Pod { .. });
        assert!(!(used && note.goes.is_some()), "a pod has it: {note:?}");
    }
    let enis: BTreeSet<_> = told.enis.iter().map(|note| &note.id).collect();
    assert_eq!(enis.len(), node.pool.enis().count());
    let prefixes: usize = (node.pool.enis())
        .map(|eni| node.pool.prefixes_of(&eni.id).len())
        .sum();
    assert_eq!(told.prefixes.len(), prefixes);
    assert_eq!(told.reasons, node.plan().reasons);
}

fn is_missed(node: &Node, ip: Ipv4Addr) -> bool {
    let eni = node.pool.address(ip).and_then(|a| node.pool.eni(&a.eni));
    eni.is_some_and(|eni| eni.missed.is_some())
}

/// Whether a call gives something back, so that no answer of EC2 is needed to foretell what comes after it.
fn gives_back(action: &Action) -> bool {
    matches!(
        action.verb(),
        Verb::Protect | Verb::Unassign | Verb::Detach | Verb::Delete
    )
}

/// Ends all calls, and those that follow from them, at this moment; notes when addresses went.
fn end_all(node: &mut Node, gone: &mut BTreeMap<Ipv4Addr, Timestamp>) {
    while !node.flights.is_empty() {
        for flight in &node.flights {
            for ip in taken_by(node, &flight.action) {
                gone.entry(ip).or_insert(node.now);
            }
        }
        node.end(0, End::Answer);
    }
}

/// The addresses that a call takes away.
fn taken_by(node: &Node, action: &Action) -> Vec<Ipv4Addr> {
    match action {
        Action::Unassign {
            addresses,
            prefixes,
            ..
        } => {
            let members = prefixes.iter().flat_map(|p| crate::cloud::members(*p));
            members.chain(addresses.iter().copied()).collect()
        }
        Action::Detach { eni } | Action::Delete { eni } => {
            node.pool.addresses_of(eni).map(|(ip, _)| ip).collect()
        }
        _ => Vec::new(),
    }
}

/// Lets time pass without any event, and compares when addresses go with what was foretold. Where EC2 is asked for
/// something, what was foretold ends.
pub fn comes_true(node: &mut Node) {
    node.waiting = 0;
    let mut gone = BTreeMap::new();
    end_all(node, &mut gone);
    node.react();
    end_all(node, &mut gone);
    let told = told(node);
    let asks = told.steps.iter().find(|step| !gives_back(&step.action));
    let end = asks.map_or(node.now.after(ipam::forecast::HORIZON), |step| step.at);
    let foretold: BTreeMap<Ipv4Addr, Timestamp> = (told.addresses.iter())
        .filter_map(|note| Some((note.ip, note.goes.filter(|at| *at < end)?)))
        .collect();
    gone.clear();
    while let Some(wake) = node.last_plan.wake_at.filter(|wake| *wake < end) {
        node.advance(wake.since(node.now));
        end_all(node, &mut gone);
    }
    let kept: Vec<Ipv4Addr> = told.addresses.iter().map(|note| note.ip).collect();
    gone.retain(|ip, _| kept.contains(ip));
    assert_eq!(foretold, gone, "{told:?}");
}

#[test]
fn a_calm_node_holds_pods_and_the_reserve() {
    let node = with_pods(M5_LARGE, 3);
    let told = told(&node);
    let free = node.free();
    are(&told, &[("Pod", 3), ("Reserve", free)]);
    assert_eq!(told.enis[0].why, EniWhy::Primary);
    assert_eq!((told.next, told.reasons), (None, Vec::new()));
}

#[test]
fn a_reserve_that_shrinks_when_no_pod_comes_is_foretold() {
    let mut node = with_pods(M5_LARGE, 3);
    let before = told(&node);
    let mut later = before.addresses.iter().filter_map(|note| note.goes);
    let goes = later.next().expect("one of the two is kept for a while");
    assert_eq!(later.next(), None);
    // Nothing is too many before no pod has come for ten minutes.
    assert_eq!(before.standing.surplus(), 0);
    let idle = node.now.after(Duration::from_secs(601));
    node.run(idle.since(node.now));
    let told = told(&node);
    are(&told, &[("Pod", 3), ("Reserve", 1), ("Surplus", 1)]);
    let surplus = told.addresses.iter().find_map(|note| note.goes);
    assert_eq!(surplus, Some(goes));
    assert_eq!(told.standing.levels.len(), 1);
    comes_true(&mut node);
}

#[test]
fn what_pods_leave_rests_and_then_is_too_much() {
    let mut node = with_pods(M5_LARGE, 8);
    while node.pods.len() > 1 {
        node.remove(0, SECOND);
    }
    let resting = told(&node);
    assert_eq!(whys(&resting)["Cooling"], 7);
    let until = node.now.after(node.settings.cooldown);
    let rests = Why::Cooling { until };
    assert!(resting.addresses.iter().any(|note| note.why == rests));
    node.run(node.settings.cooldown + SECOND);
    let told = told(&node);
    let mut surplus: Vec<(u32, Timestamp)> = (told.addresses.iter())
        .filter_map(|note| match note.why {
            Why::Surplus { rank, of, since } => {
                assert_eq!(of, whys(&told)["Surplus"]);
                assert!(since.is_some_and(|since| since <= node.now));
                Some((rank, note.goes.expect("it goes")))
            }
            _ => None,
        })
        .collect();
    surplus.sort_unstable();
    assert!(surplus.len() >= 4, "{told:?}");
    let ranks: Vec<u32> = surplus.iter().map(|(rank, _)| *rank).collect();
    assert_eq!(ranks, (1..=surplus.len() as u32).collect::<Vec<_>>());
    assert!(surplus.is_sorted_by_key(|(_, at)| *at));
    comes_true(&mut node);
}

#[test]
fn a_throttled_call_is_tried_again_when_it_is_said_to_be() {
    let mut node = Node::settled(M5_LARGE);
    node.ask(5);
    node.end_the(Verb::Assign, End::Refuse(FailureKind::Throttled));
    let told = told(&node);
    let Some(Next::Call { action, at }) = &told.next else {
        panic!("{told:?}");
    };
    assert_eq!(action.verb(), Verb::Assign);
    assert_eq!(told.reasons[0], Reason::Throttled { until: *at });
    let wait = at.since(node.now);
    node.advance(wait - Duration::from_millis(1));
    assert_eq!(node.under_way(), []);
    node.advance(Duration::from_millis(1));
    assert_eq!(node.under_way(), [Verb::Assign]);
    let Some(Next::Answer { since, .. }) = self::told(&node).next else {
        panic!("{:?}", node.under_way());
    };
    assert_eq!(since, node.now);
}

#[test]
fn in_a_full_subnet_the_next_try_is_foretold() {
    let mut node = Node::settled(M5_LARGE);
    node.cloud.others_take(1000);
    node.ask(5);
    node.drain();
    let told = told(&node);
    assert_eq!(told.reasons[0], Reason::SubnetFull);
    let Some(Next::Call { at, .. }) = told.next else {
        panic!("{told:?}");
    };
    assert!(at > node.now);
}

#[test]
fn a_full_house_waits_for_what_rests() {
    let limits = Limits {
        enis: 1,
        slots_per_eni: 4,
        prefixes: false,
    };
    let mut node = with_pods(limits, 4);
    node.ask(1);
    let full = told(&node);
    assert_eq!(full.reasons, [Reason::EniLimit { enis: 1 }]);
    assert_eq!(full.next, None, "nothing can be done");
    node.remove(0, SECOND);
    let Some(Next::Rested { at, ip }) = told(&node).next else {
        panic!("{:?}", told(&node));
    };
    assert_eq!(at, node.now.after(node.settings.cooldown));
    node.advance(node.settings.cooldown);
    assert_eq!(node.waiting, 0);
    assert!(node.pods.values().any(|pod| *pod == ip));
}

#[test]
fn an_eni_on_its_way_is_told_with_what_it_brings() {
    let mut node = with_pods(M5_LARGE, 8);
    node.ask(4);
    let asked = told(&node);
    assert!(
        matches!(&asked.next, Some(Next::Answer { action, .. }) if action.verb() == Verb::Create)
    );
    node.end_the(Verb::Create, End::Answer);
    let told = told(&node);
    assert_eq!(told.enis[1].why, EniWhy::Arriving { trouble: None });
    assert!(whys(&told)["Arriving"] >= 3, "{told:?}");
    assert!(
        matches!(&told.next, Some(Next::Answer { action, .. }) if action.verb() == Verb::Attach)
    );
}

#[test]
fn an_eni_that_goes_takes_its_addresses_along() {
    let mut node = with_pods(M5_LARGE, 12);
    while node.pods.len() > 3 {
        node.remove(node.pods.len() - 1, SECOND);
    }
    node.run(node.settings.cooldown + SECOND);
    let told = told(&node);
    let other = &told.enis[1];
    assert_eq!(other.why, EniWhy::Idle, "{told:?}");
    let leaves = other.goes.expect("it goes");
    let on_it = told.addresses.iter().filter(|note| note.eni == other.id);
    assert!(on_it.clone().count() > 0);
    assert!(
        on_it
            .clone()
            .all(|note| note.goes.is_some_and(|at| at <= leaves))
    );
    node.advance(leaves.since(node.now));
    while !node.started.contains_key(&Verb::Detach) {
        node.end(0, End::Answer);
    }
    assert_eq!(node.now, leaves);
    let told = self::told(&node);
    assert_eq!(told.enis[1].why, EniWhy::Leaving);
}

#[test]
fn what_ec2_alone_knows_or_does_not_show_is_told() {
    let mut node = with_pods(M5_LARGE, 3);
    let primary = node.cloud.eni_mut(&primary_id());
    let free = node.pool.addresses().find(|(_, a)| a.is_free());
    let free = free.expect("a free address").0;
    primary.secondary.remove(&free);
    primary.secondary.insert(Ipv4Addr::new(10, 0, 0, 60));
    // A start asks EC2 what is there; what came at the same moment its answer says nothing about.
    node.advance(SECOND);
    node.save();
    node.crash(0, true);
    node.end_the(Verb::Describe, End::Answer);
    let told = told(&node);
    let why = |ip: Ipv4Addr| {
        let note = told.addresses.iter().find(|note| note.ip == ip);
        note.map(|note| note.why.clone())
    };
    assert_eq!(why(Ipv4Addr::new(10, 0, 0, 60)), Some(Why::Quarantined));
    assert!(matches!(why(free), Some(Why::NotShown { .. })), "{told:?}");
}

#[test]
fn pods_pin_their_prefix() {
    let settings = PoolSettings {
        layout: Layout::Prefixes,
        ..PoolSettings::default()
    };
    let mut node = Node::on(Cloud::new(M5_LARGE, large_subnet(), 0, 7), settings);
    node.ask(2);
    while node.waiting > 0 || !node.flights.is_empty() {
        node.run(SECOND);
    }
    let told = told(&node);
    assert_eq!(told.prefixes[0].tally.used(), 2);
    assert_eq!(told.prefixes[0].goes, None);
    are(&told, &[("Pod", 2), ("Prefix", 14)]);
    let pinned = Why::Prefix { pods: 2 };
    assert!(told.addresses.iter().any(|note| note.why == pinned));
}

#[test]
fn bound_pods_get_the_addresses_that_are_kept_for_them() {
    let mut node = with_pods(M5_LARGE, 8);
    while node.pods.len() > 2 {
        node.remove(0, SECOND);
    }
    node.run(node.settings.cooldown + SECOND);
    let told = with_bound(&node, 2);
    let mut kept: Vec<(u32, Ipv4Addr)> = (told.addresses.iter())
        .filter_map(|note| match note.why {
            Why::ForPod { nth } => Some((nth, note.ip)),
            _ => None,
        })
        .collect();
    kept.sort_unstable();
    assert_eq!(kept.len(), 2);
    assert_eq!(told.next, None, "they have what they need");
    let pods: BTreeSet<Ipv4Addr> = node.pods.values().copied().collect();
    node.ask(2);
    let new: BTreeSet<Ipv4Addr> = node.pods.values().copied().collect();
    let new: BTreeSet<_> = new.difference(&pods).copied().collect();
    assert_eq!(new, kept.iter().map(|(_, ip)| *ip).collect());
}

#[test]
fn whole_enis_are_held_where_the_operator_wants_them() {
    let mut settings = PoolSettings::default();
    settings.targets.enis = Some(1);
    let mut node = Node::on(Cloud::new(M5_LARGE, large_subnet(), 0, 7), settings);
    node.run(Duration::from_secs(60));
    node.ask(1);
    node.run(Duration::from_secs(60));
    let told = told(&node);
    are(&told, &[("Pod", 1), ("WholeEni", 17)]);
}

#[test]
fn somebody_elses_eni_is_told_as_such() {
    let mut node = Node::settled(M5_LARGE);
    node.cloud.foreign("trunk", true);
    node.run(Duration::from_secs(7200));
    let told = told(&node);
    assert_eq!(told.enis[1].why, EniWhy::Foreign);
}
