//! Where a node comes to rest when nothing more happens to it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::policy::RESERVE;
use ipam::{EniState, Reason, Verb};

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

/// A node at rest does nothing but ask what is there, once an hour.
fn only_looks_each_hour(node: &mut Node) {
    let before = node.started.clone();
    node.run(Duration::from_secs(3500));
    node.drain();
    let mut looks = 0;
    for (verb, count) in &node.started {
        let more = count - before.get(verb).unwrap_or(&0);
        assert!(more == 0 || *verb == Verb::Describe, "{more} {verb:?}");
        looks += more;
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
        assert_eq!(held, real.secondary, "on {id}");
        let tally = node.pool.tally(id);
        assert_eq!(tally.held(), tally.free + tally.assigned, "{tally:?}");
    }
    for eni in node.pool.enis() {
        assert!(node.cloud.enis.contains_key(&eni.id), "{} is gone", eni.id);
    }
}

fn reserve(node: &Node, reasons: &[Reason]) {
    let free = node.free();
    let full = reasons.iter().any(|r| matches!(r, Reason::EniLimit { .. }));
    let low = if full { 0 } else { RESERVE.low };
    assert!(
        (low..=RESERVE.high).contains(&free),
        "{free} free, {reasons:?}"
    );
}
