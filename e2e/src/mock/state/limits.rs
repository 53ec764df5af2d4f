//! How many ENIs and addresses an instance type takes. The mock's own copy: it shares no table with what it tests.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// DescribeInstanceTypes of 1,395 types, reduced to what the mock enforces or answers.
const TABLE: &str = include_str!("../../../data/instance-limits.csv");

/// The limits of one instance type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceLimits {
    /// ENIs on the default network card, the primary included.
    pub enis: u32,
    /// IPv4 addresses an ENI, its primary one included.
    pub ipv4_per_eni: u32,
    /// IPv6 addresses an ENI; 0 where there is no IPv6.
    pub ipv6_per_eni: u32,
    /// `nitro`, `xen` or `none` (bare metal).
    pub hypervisor: String,
    /// Whether it is a bare metal type.
    pub bare_metal: bool,
    /// How many network cards it has; the mock attaches to card 0 only.
    pub network_cards: u32,
}

impl InstanceLimits {
    /// Whether its ENIs can have prefixes: on Nitro and bare metal only.
    pub fn takes_prefixes(&self) -> bool {
        self.bare_metal || self.hypervisor == "nitro"
    }
}

/// All types by name.
pub fn all_limits() -> &'static BTreeMap<String, InstanceLimits> {
    static LIMITS: OnceLock<BTreeMap<String, InstanceLimits>> = OnceLock::new();
    LIMITS.get_or_init(|| TABLE.lines().filter_map(parse).collect())
}

/// The limits of one type, if EC2 has it.
pub fn limits_of(instance_type: &str) -> Option<&'static InstanceLimits> {
    all_limits().get(instance_type)
}

/// One line; the comment and the header are none.
fn parse(line: &str) -> Option<(String, InstanceLimits)> {
    let mut fields = line.split(',');
    let name = fields.next()?.to_owned();
    let limits = InstanceLimits {
        enis: fields.next()?.parse().ok()?,
        ipv4_per_eni: fields.next()?.parse().ok()?,
        ipv6_per_eni: fields.next()?.parse().ok()?,
        hypervisor: fields.next()?.to_owned(),
        bare_metal: fields.next()?.parse().ok()?,
        network_cards: fields.next()?.parse().ok()?,
    };
    Some((name, limits))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        // Two lines are the comment and the header.
        assert_eq!(all_limits().len(), TABLE.lines().count() - 2);
        let m5 = limits_of("m5.large").unwrap();
        assert_eq!(
            (m5.enis, m5.ipv4_per_eni, m5.hypervisor.as_str()),
            (3, 10, "nitro")
        );
        assert_eq!(limits_of("m9.huge"), None);
    }
}
