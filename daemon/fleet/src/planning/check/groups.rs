//! Whether the groups of nodes can be: their type, their places, their pods.

use std::collections::BTreeSet;

use ipam::Limits;

use super::super::catalogue::{Catalogue, InstanceType};
use super::super::cluster::{Group, Subnet};
use super::super::max_pods::{MaxPods, addresses};
use super::super::problem::Problem;
use super::super::request;
use super::list;

/// No instance type has more ENIs on its default card, or addresses an ENI (DescribeInstanceTypes, 1,395 types).
const MOST_PER_TYPE: u32 = 64;

/// The type: from the catalogue, or as the request has it.
pub(super) fn kind(
    asked: &request::Group,
    catalogue: &Catalogue,
    problems: &mut Vec<Problem>,
) -> Option<InstanceType> {
    let place = asked.place.clone();
    let known = catalogue.get(&asked.instance_type);
    let (enis, per_eni) = match (asked.enis, asked.addresses_per_eni) {
        (Some(enis), Some(per_eni)) => (enis, per_eni),
        (None, None) => {
            if known.is_none() {
                problems.push(Problem::UnknownType {
                    place,
                    name: asked.instance_type.clone(),
                    nearest: catalogue.nearest(&asked.instance_type),
                });
            }
            return known;
        }
        _ => {
            problems.push(Problem::HalfALimit { place });
            return None;
        }
    };
    for (field, value, least) in [("enis", enis, 1), ("addresses-per-eni", per_eni, 2)] {
        if !(least..=MOST_PER_TYPE).contains(&value) {
            problems.push(Problem::NoSuchLimit {
                place: place.clone(),
                field,
                value,
                least,
                most: MOST_PER_TYPE,
            });
        }
    }
    Some(InstanceType {
        limits: Limits {
            enis: enis.min(MOST_PER_TYPE),
            slots_per_eni: per_eni.saturating_sub(1).min(MOST_PER_TYPE),
            prefixes: asked.prefixes.unwrap_or(true),
        },
        vcpus: known.and_then(|known| known.vcpus),
    })
}

/// The indexes of the subnets that its nodes lie in: zones take turns, and the subnets of a zone.
pub(super) fn places(
    asked: &request::Group,
    subnets: &[Subnet],
    incomplete: bool,
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    let mut places = Vec::new();
    for name in &asked.subnets {
        match subnets.iter().position(|subnet| subnet.name == *name) {
            Some(index) => places.push(index),
            None if incomplete => {}
            None => problems.push(Problem::UnknownSubnet {
                place: asked.place.clone(),
                name: name.clone(),
                known: list(subnets.iter().map(|subnet| subnet.name.clone())),
            }),
        }
    }
    for zone in &asked.zones {
        let in_zone = |(index, subnet): (usize, &Subnet)| {
            (subnet.zone.as_ref() == Some(zone)).then_some(index)
        };
        let found: Vec<usize> = subnets.iter().enumerate().filter_map(in_zone).collect();
        if found.is_empty() && !incomplete {
            let zones: BTreeSet<String> = subnets.iter().filter_map(|s| s.zone.clone()).collect();
            problems.push(Problem::NoSubnetInZone {
                place: asked.place.clone(),
                zone: zone.clone(),
                known: if zones.is_empty() {
                    "no subnet has a zone".to_owned()
                } else {
                    list(zones.into_iter())
                },
            });
        }
        places.extend(found);
    }
    if asked.subnets.is_empty() && asked.zones.is_empty() {
        return everywhere(subnets);
    }
    by_turns(places, subnets)
}

/// All subnets in turn.
pub(super) fn everywhere(subnets: &[Subnet]) -> Vec<usize> {
    by_turns((0..subnets.len()).collect(), subnets)
}

/// As an Auto Scaling group spreads nodes: evenly over the zones, whatever the number of subnets in each.
fn by_turns(mut places: Vec<usize>, subnets: &[Subnet]) -> Vec<usize> {
    places.sort_unstable();
    places.dedup();
    let zone = |index: usize| subnets.get(index).and_then(|subnet| subnet.zone.as_ref());
    let zones: BTreeSet<_> = places.iter().map(|index| zone(*index)).collect();
    let columns: Vec<Vec<usize>> = zones
        .iter()
        .map(|of| {
            let here = places.iter().copied();
            here.filter(|index| zone(*index) == *of).collect()
        })
        .collect();
    let longest = columns.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| {
        let pick = |column: &Vec<usize>| column.get(turn % column.len().max(1)).copied();
        columns.iter().filter_map(pick).collect::<Vec<_>>()
    });
    turns.collect()
}

/// The group, whatever is wrong with it.
pub(super) fn group(
    index: usize,
    asked: &request::Group,
    kind: InstanceType,
    subnets: Vec<usize>,
    problems: &mut Vec<Problem>,
) -> Group {
    let place = || asked.place.clone();
    if asked.count == 0 {
        problems.push(Problem::NoNodes { place: place() });
    }
    let max_pods = asked.max_pods.unwrap_or(MaxPods::of(kind).assumed());
    let own = asked.pods.saturating_add(asked.daemonset);
    let all = own.saturating_add(asked.host_network);
    if own > addresses(kind) {
        problems.push(Problem::OverAddresses {
            place: place(),
            instance_type: asked.instance_type.clone(),
            asked: own,
            addresses: addresses(kind),
        });
    } else if all > max_pods {
        problems.push(Problem::OverMaxPods {
            place: place(),
            instance_type: asked.instance_type.clone(),
            asked: all,
            sum: sum(asked),
            max_pods,
            why: match asked.max_pods {
                Some(_) => "as given",
                None => "what EKS recommends",
            },
        });
    }
    let name = || format!("{} ({})", asked.instance_type, index + 1);
    Group {
        name: asked.name.clone().unwrap_or_else(name),
        instance_type: asked.instance_type.clone(),
        kind,
        count: asked.count,
        pods: asked.pods,
        daemonset: asked.daemonset,
        host_network: asked.host_network,
        max_pods,
        life: asked.life,
        subnets,
    }
}

fn sum(asked: &request::Group) -> String {
    let parts = [
        (asked.pods, "pods"),
        (asked.daemonset, "of DaemonSets"),
        (asked.host_network, "on the host network"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    list(parts.map(|(count, what)| format!("{count} {what}")))
}
