//! What aws-node's documents say a node holds: docs/eni-and-ip-target.md and docs/prefix-and-ip-target.md of
//! aws/amazon-vpc-cni-k8s (version 1.23), its README, and known incidents. berth with aws-node's targets set is held to it,
//! and so is the simulator's model of aws-node.
//!
//! The tables have a row that aws-node's own algorithm does not yield, which is left out: t3.small with WARM_IP_TARGET=7 and
//! MINIMUM_IP_TARGET=20 without pods holds two prefixes, not one. In three more, all of p3dn.24xlarge with prefixes, the count of
//! ENIs is wrong (two or three, where one has room for 49 prefixes): those have one here.

use ipam::Limits;
use ipam::policy::WarmTargets;

/// What a node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// ENIs, the primary included.
    pub enis: usize,
    /// Secondary addresses or prefixes.
    pub slots: usize,
    /// Addresses that no pod has.
    pub unused: usize,
}

/// A node of this type, with these targets and so many pods, and what it holds.
pub type Row = (Limits, WarmTargets, u32, Holdings);

const fn nitro(enis: u32, addresses_per_eni: u32) -> Limits {
    Limits {
        enis,
        slots_per_eni: addresses_per_eni - 1,
        prefixes: true,
    }
}

const fn xen(enis: u32, addresses_per_eni: u32) -> Limits {
    Limits {
        prefixes: false,
        ..nitro(enis, addresses_per_eni)
    }
}

pub const T3_SMALL: Limits = nitro(3, 4);
const P3DN_24XLARGE: Limits = nitro(15, 50);
const M6A_32XLARGE: Limits = nitro(15, 50);
const M4_4XLARGE: Limits = xen(8, 30);
const M3_2XLARGE: Limits = xen(4, 30);

const NONE: WarmTargets = WarmTargets {
    addresses: None,
    minimum: None,
    enis: None,
    prefixes: None,
};

/// WARM_ENI_TARGET.
pub const fn warm_enis(enis: u32) -> WarmTargets {
    WarmTargets {
        enis: Some(enis),
        ..NONE
    }
}

/// WARM_PREFIX_TARGET.
pub const fn warm_prefixes(prefixes: u32) -> WarmTargets {
    WarmTargets {
        prefixes: Some(prefixes),
        ..NONE
    }
}

/// WARM_IP_TARGET and MINIMUM_IP_TARGET.
pub const fn warm_addresses(addresses: u32, minimum: u32) -> WarmTargets {
    WarmTargets {
        addresses: Some(addresses),
        minimum: Some(minimum),
        ..NONE
    }
}

const fn holds(enis: usize, slots: usize, unused: usize) -> Holdings {
    Holdings {
        enis,
        slots,
        unused,
    }
}

/// eni-and-ip-target.md, and the README's m4.4xlarge: 58 addresses for up to 29 pods, 87 for 30 to 58 (with none it is 29).
pub const SINGLE_ADDRESSES: [Row; 20] = [
    (T3_SMALL, warm_enis(1), 0, holds(1, 3, 3)),
    (T3_SMALL, warm_enis(1), 5, holds(3, 9, 4)),
    (T3_SMALL, warm_enis(1), 9, holds(3, 9, 0)),
    (T3_SMALL, warm_addresses(1, 1), 0, holds(1, 1, 1)),
    (T3_SMALL, warm_addresses(1, 1), 5, holds(2, 6, 1)),
    (T3_SMALL, warm_addresses(1, 1), 9, holds(3, 9, 0)),
    (T3_SMALL, warm_addresses(2, 5), 0, holds(2, 5, 5)),
    (T3_SMALL, warm_addresses(2, 5), 5, holds(3, 7, 2)),
    (T3_SMALL, warm_addresses(2, 5), 9, holds(3, 9, 0)),
    (P3DN_24XLARGE, warm_enis(1), 0, holds(1, 49, 49)),
    (P3DN_24XLARGE, warm_enis(1), 3, holds(2, 98, 95)),
    (P3DN_24XLARGE, warm_enis(1), 95, holds(3, 147, 52)),
    (P3DN_24XLARGE, warm_addresses(5, 10), 0, holds(1, 10, 10)),
    (P3DN_24XLARGE, warm_addresses(5, 10), 7, holds(1, 12, 5)),
    (P3DN_24XLARGE, warm_addresses(5, 10), 15, holds(1, 20, 5)),
    (P3DN_24XLARGE, warm_addresses(5, 10), 45, holds(2, 50, 5)),
    (M4_4XLARGE, warm_enis(1), 1, holds(2, 58, 57)),
    (M4_4XLARGE, warm_enis(1), 29, holds(2, 58, 29)),
    (M4_4XLARGE, warm_enis(1), 30, holds(3, 87, 57)),
    (M4_4XLARGE, warm_enis(1), 58, holds(3, 87, 29)),
];

/// prefix-and-ip-target.md.
pub const PREFIXES: [Row; 19] = [
    (T3_SMALL, warm_prefixes(1), 0, holds(1, 1, 16)),
    (T3_SMALL, warm_prefixes(1), 5, holds(1, 2, 27)),
    (T3_SMALL, warm_prefixes(1), 16, holds(1, 2, 16)),
    (T3_SMALL, warm_prefixes(1), 17, holds(1, 3, 31)),
    (T3_SMALL, warm_prefixes(1), 58, holds(2, 5, 22)),
    (T3_SMALL, warm_addresses(1, 1), 0, holds(1, 1, 16)),
    (T3_SMALL, warm_addresses(1, 1), 5, holds(1, 1, 11)),
    (T3_SMALL, warm_addresses(1, 1), 17, holds(1, 2, 15)),
    (T3_SMALL, warm_addresses(1, 1), 58, holds(2, 4, 6)),
    (T3_SMALL, warm_addresses(7, 20), 5, holds(1, 2, 27)),
    (T3_SMALL, warm_addresses(7, 20), 17, holds(1, 2, 15)),
    (T3_SMALL, warm_addresses(7, 20), 58, holds(2, 5, 22)),
    (P3DN_24XLARGE, warm_prefixes(1), 0, holds(1, 1, 16)),
    (P3DN_24XLARGE, warm_prefixes(1), 3, holds(1, 2, 29)),
    (P3DN_24XLARGE, warm_prefixes(1), 95, holds(1, 7, 17)),
    (P3DN_24XLARGE, warm_addresses(5, 10), 0, holds(1, 1, 16)),
    (P3DN_24XLARGE, warm_addresses(5, 10), 7, holds(1, 1, 9)),
    (P3DN_24XLARGE, warm_addresses(5, 10), 15, holds(1, 2, 17)),
    (P3DN_24XLARGE, warm_addresses(5, 10), 45, holds(1, 4, 19)),
];

/// Nodes that emptied subnets, and what it takes to have them hold less; the last number counts the ENIs' primary addresses
/// too, as an administrator who looks at the subnet does.
pub const INCIDENTS: [(Row, usize); 8] = [
    ((M3_2XLARGE, warm_enis(1), 1, holds(2, 58, 57)), 60),
    ((M6A_32XLARGE, warm_enis(1), 1, holds(2, 98, 97)), 100),
    ((M3_2XLARGE, warm_addresses(10, 0), 2, holds(1, 12, 10)), 13),
    (
        (M3_2XLARGE, warm_addresses(10, 0), 17, holds(1, 27, 10)),
        28,
    ),
    (
        (M3_2XLARGE, warm_addresses(10, 0), 22, holds(2, 32, 10)),
        34,
    ),
    // The same steps without the primaries: 13, 28, and 48 on a second ENI.
    ((M3_2XLARGE, warm_addresses(10, 0), 3, holds(1, 13, 10)), 14),
    (
        (M3_2XLARGE, warm_addresses(10, 0), 18, holds(1, 28, 10)),
        29,
    ),
    (
        (M3_2XLARGE, warm_addresses(10, 0), 38, holds(2, 48, 10)),
        50,
    ),
];
