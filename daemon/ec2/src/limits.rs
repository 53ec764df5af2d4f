//! The limits of the instance types that were known when this was built; newer ones are asked of EC2.
//!
//! A table in the binary lets a node serve its first pod before any call to EC2. It is searched as text: nothing is
//! parsed or allocated until a type is looked up.

use crate::port::InstanceLimits;

/// EC2 DescribeInstanceTypes, reduced to what berth uses; the file's head says which columns.
const TABLE: &str = include_str!("../data/instance-limits.csv");

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownType {
    /// For example `m5.large`.
    pub name: &'static str,
    /// What its ENIs take.
    pub limits: InstanceLimits,
    /// Default vCPUs: EKS recommends fewer pods for 30 and less.
    pub vcpus: u32,
}

/// Every type of the table, sorted bytewise by name.
pub fn all() -> impl Iterator<Item = KnownType> {
    body().lines().filter_map(|line| {
        let (name, rest) = line.split_once(',')?;
        let (limits, vcpus) = parse(rest)?;
        Some(KnownType {
            name,
            limits,
            vcpus,
        })
    })
}

/// The limits of `instance_type`, or nothing if it is newer than this table.
pub fn built_in(instance_type: &str) -> Option<InstanceLimits> {
    let mut rest = body();
    while !rest.is_empty() {
        // The start of the line in the middle: lines are found by their ends, so no index is needed.
        let middle = rest[..rest.len() / 2].rfind('\n').map_or(0, |end| end + 1);
        let length = rest[middle..]
            .find('\n')
            .map_or(rest.len() - middle, |end| end + 1);
        let line = &rest[middle..middle + length];
        let (name, limits) = line.trim_end().split_once(',')?;
        match instance_type.cmp(name) {
            std::cmp::Ordering::Equal => return parse(limits).map(|(limits, _)| limits),
            std::cmp::Ordering::Less => rest = &rest[..middle],
            std::cmp::Ordering::Greater => rest = &rest[middle + length..],
        }
    }
    None
}

/// The table without its comment head.
fn body() -> &'static str {
    let mut rest = TABLE;
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, below)| below);
    }
    rest
}

/// `enis,ipv4 per eni,yes|no,vCPUs`.
fn parse(limits: &str) -> Option<(InstanceLimits, u32)> {
    let mut fields = limits.split(',');
    let enis = fields.next()?.parse().ok()?;
    let ipv4_per_eni = fields.next()?.parse().ok()?;
    let prefixes = match fields.next()? {
        "yes" => true,
        "no" => false,
        _ => return None,
    };
    let vcpus = fields.next()?.parse().ok()?;
    if fields.next().is_some() {
        return None;
    }
    let limits = InstanceLimits {
        enis,
        ipv4_per_eni,
        prefixes,
    };
    Some((limits, vcpus))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn limits(enis: u32, ipv4_per_eni: u32, prefixes: bool) -> Option<InstanceLimits> {
        Some(InstanceLimits {
            enis,
            ipv4_per_eni,
            prefixes,
        })
    }

    #[test]
    fn published_limits_are_found() {
        assert_eq!(built_in("m5.large"), limits(3, 10, true));
        assert_eq!(built_in("m3.2xlarge"), limits(4, 30, false));
        assert_eq!(built_in("m6a.32xlarge"), limits(15, 50, true));
        assert_eq!(built_in("t3.small"), limits(3, 4, true));
        assert_eq!(built_in("m5.metal"), limits(15, 50, true));
        // Four network cards with 15 each: those of the default card count.
        assert_eq!(built_in("p4d.24xlarge"), limits(15, 50, true));
    }

    #[test]
    fn unknown_types_are_not_guessed() {
        for unknown in [
            "",
            "m5",
            "m5.",
            "m5.large ",
            "M5.LARGE",
            "#",
            "a",
            "zz9.large",
            "m5.large,3",
        ] {
            assert_eq!(built_in(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn every_line_is_sane_and_found_by_its_name() {
        // It is cut at byte positions.
        assert!(TABLE.is_ascii());
        let mut count = 0;
        for line in body().lines() {
            let (name, rest) = line.split_once(',').unwrap();
            let (parsed, vcpus) = parse(rest).unwrap_or_else(|| panic!("{line}"));
            assert!((1..=2048).contains(&vcpus), "{line}");
            assert!((1..=32).contains(&parsed.enis), "{line}");
            assert!((2..=64).contains(&parsed.ipv4_per_eni), "{line}");
            assert_eq!(built_in(name), Some(parsed), "{line}");
            count += 1;
        }
        assert_eq!(count, 1395);
    }

    #[test]
    fn all_types_are_listed_with_their_vcpus() {
        assert_eq!(all().count(), 1395);
        // Not what its size says: hpc7a counts physical cores.
        for (name, vcpus) in [
            ("c5.large", 2),
            ("m6a.32xlarge", 128),
            ("hpc7a.12xlarge", 24),
        ] {
            let known = all().find(|known| known.name == name).unwrap();
            assert_eq!((known.vcpus, Some(known.limits)), (vcpus, built_in(name)));
        }
    }

    #[test]
    fn lines_are_sorted_and_unique() {
        let names: Vec<&str> = body()
            .lines()
            .map(|line| line.split(',').next().unwrap())
            .collect();
        assert!(names.is_sorted_by(|a, b| a < b));
    }
}
