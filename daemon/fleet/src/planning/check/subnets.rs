//! Whether the subnets are such as AWS has them.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;

use super::super::cluster::{Subnet, size};
use super::super::problem::Problem;
use super::super::request;

/// Largest and smallest subnet of AWS (the same page).
const SIZES: std::ops::RangeInclusive<u8> = 16..=28;

/// The subnets, those with a problem among them.
pub(super) fn check(asked: &[request::Subnet], problems: &mut Vec<Problem>) -> Vec<Subnet> {
    let mut names = BTreeSet::new();
    for (index, subnet) in asked.iter().enumerate() {
        let (place, cidr, name) = (subnet.place.clone(), subnet.cidr, name_of(subnet));
        let before = asked.iter().take(index);
        let before = before.filter(|other| alone(other).is_none());
        let mut before = before.map(|other| other.cidr);
        if let Some(problem) = alone(subnet) {
            problems.push(problem);
        } else if let Some(other) = before.find(|other| overlap(*other, cidr)) {
            problems.push(Problem::Overlap { place, cidr, other });
        } else if !names.insert(name.clone()) {
            problems.push(Problem::SameName { place, name });
        }
    }
    let checked = asked.iter().map(|subnet| Subnet {
        name: name_of(subnet),
        cidr: subnet.cidr,
        zone: subnet.zone.clone(),
        used: subnet.used,
        scattered: subnet.scattered,
    });
    checked.collect()
}

fn name_of(subnet: &request::Subnet) -> String {
    (subnet.name.clone()).unwrap_or_else(|| subnet.cidr.to_string())
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// What is wrong with a subnet, whatever the others are.
fn alone(subnet: &request::Subnet) -> Option<Problem> {
    let (place, cidr, used) = (subnet.place.clone(), subnet.cidr, subnet.used);
    if !SIZES.contains(&cidr.prefix_len()) {
        return Some(Problem::SubnetSize { place, cidr });
    }
    if cidr.addr() != cidr.network() {
        let network = cidr.trunc();
        return Some(Problem::HostBits {
            place,
            cidr,
            network,
        });
    }
    let size = size(cidr);
    (used > size).then_some(Problem::UsedOverSize {
        place,
        cidr,
        used,
        size,
    })
}
