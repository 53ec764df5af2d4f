//! Where a node comes to rest when nothing more happens to it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::policy::{Need, Policy, Pressure};
use ipam::{Block, EniId, EniState, Layout, Ownership, Reason, Verb};

use crate::cloud::primary_id;
use crate::node::Node;

/// How long after the last fault a node may take: two of the hourly Describes.
const BOUND: Duration = Duration::from_secs(2 * 3600);

/// Lets a node come to rest, and checks that what it then holds is what its pods need and what EC2 says.
pub fn rests(node: &mut Node) {
    node.cloud.others_give(usize::MAX);
    node.waiting = 0;
    let before: u32 = node.started.values().sum();
    node.run(BOUND);
    let calls = node.started.values().sum::<u32>() - before;
    assert!(
        calls < 300,
        "{calls} calls to come to rest: {:?}",
        node.started
    );

    node.drain();
    let plan = node.plan();
    assert_eq!(plan.actions, [], "not at rest");
    assert_eq!(node.pool.intents().count(), 0);
    only_looks_each_hour(node);
    holds_what_ec2_says(node);
    reserve(node, &plan.reasons);
}

/// A node at rest does nothing but ask what is there, once an hour, and now and then for what it could not have.
fn only_looks_each_hour(node: &mut Node) {
    // Where single addresses keep an ENI for want of a prefix, one is asked for every ten minutes.
    let for_want = node.settings.layout != Layout::Singles && !node.cloud.refusals.is_empty();
    let lacks = !node.plan().reasons.is_empty() || for_want;
    let before = node.started.clone();
    node.run(Duration::from_secs(3500));
    node.drain();
    let mut looks = 0;
    for (verb, count) in &node.started {
        let more = count - before.get(verb).unwrap_or(&0);
        let asks = lacks && matches!(verb, Verb::Assign | Verb::Create);
        assert!(
            more == 0 || *verb == Verb::Describe || asks && more <= 60,
            "{more} {verb:?}"
        );
        looks += if *verb == Verb::Describe { more } else { 0 };
    }
    assert!(looks <= 1, "{looks} looks, woken by {:?}", node.last_plan);
}

fn holds_what_ec2_says(node: &Node) {
    for (id, real) in &node.cloud.enis {
        if !real.is_ours() && *id != primary_id() {
            continue;
        }
        let eni = node
            .pool
            .eni(id)
            .unwrap_or_else(|| panic!("{id} is a leftover: {real:?}"));
        let ready = matches!(eni.state, EniState::Ready { .. });
        assert!(ready && eni.missed.is_none(), "{eni:?}");
        let at = real.attachment.as_ref().expect("attached");
        assert!(at.delete_on_termination, "{id} would outlive the instance");
        assert_eq!(at.device_index, eni.device_index);
        let held: BTreeSet<Ipv4Addr> = node.pool.addresses_of(id).map(|(ip, _)| ip).collect();
        assert_eq!(held, real.pod_addresses(), "on {id}");
        let tally = node.pool.tally(id);
        assert_eq!(tally.held(), tally.free + tally.assigned, "{tally:?}");
    }
    for eni in node.pool.enis() {
        assert!(node.cloud.enis.contains_key(&eni.id), "{} is gone", eni.id);
    }
}

/// What is held beyond the pods' addresses is what the policy wants, and nothing that could go is still there. Where
/// something is missing, the plan says why.
pub fn reserve(node: &Node, reasons: &[Reason]) {
    let wished = node.settings.layout_on(node.cloud.limits);
    let policy = Policy::of(node.settings.targets, wished);
    let wanted = policy.reserve(Need {
        taken: node.pods.len() as u32,
        slots: node.cloud.limits.slots_per_eni,
        ..Need::default()
    });
    let free = node.free();
    assert!(
        free >= wanted.low || !reasons.is_empty(),
        "{free} free of {wanted:?}"
    );
    if reasons.contains(&Reason::NoContiguousBlock) {
        // What is kept meanwhile instead of the target of prefixes is not this check's business.
        return;
    }
    let (mut idle, mut singles, mut kept) = (0, 0, 0);
    for eni in node.pool.enis() {
        let prefixes = node.pool.prefixes_of(&eni.id).into_values();
        idle += prefixes.filter(|tally| tally.free == tally.held()).count() as u32;
        let free = node.pool.addresses_of(&eni.id).filter(|(_, a)| a.is_free());
        singles += free.filter(|(_, a)| a.block == Block::Single).count() as u32;
        let tally = node.pool.tally(&eni.id);
        if eni.ownership == Ownership::Ours && tally.used() == 0 {
            let others = node.free() - tally.free;
            let few = room_beside(node, &eni.id) < policy.patience(Pressure::default()).room;
            let stands = others < wanted.low || few;
            assert!(stands, "{} stands for nothing", eni.id);
            // The others keep what there is of the reserve, in case that it can go.
            kept = wanted.keep;
        }
    }
    let (dispensable, level) = match wished {
        Layout::Prefixes => (idle.saturating_sub(policy.idle_prefixes()), wanted.keep),
        Layout::Singles | Layout::Hybrid => (idle, wanted.low),
    };
    assert!(
        dispensable == 0 || free < level + 16,
        "{dispensable} prefixes too many beside {free} free of {wanted:?}"
    );
    let reserve = match wished {
        Layout::Prefixes => free,
        Layout::Singles | Layout::Hybrid => free - 16 * idle,
    };
    let too_many = reserve > wanted.keep && singles > kept && !policy.is_of_whole_enis();
    assert!(
        !too_many,
        "{singles} free single ones of {reserve}, {wanted:?}"
    );
}

/// For how many more pods the other ENIs have room, with single addresses.
fn room_beside(node: &Node, eni: &EniId) -> u32 {
    let others = node.pool.enis().filter(|other| other.id != *eni);
    let slots = node.cloud.limits.slots_per_eni;
    let room = others
        .filter(|other| other.takes_pods())
        .map(|other| slots - node.pool.slots(&other.id) + node.pool.tally(&other.id).free);
    room.sum()
}
