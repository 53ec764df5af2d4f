//! What the kernel should look like, as data: the layout of a node, of an ENI on it, and of a pod.
//!
//! The numbers and their order are the layout that `docs/architecture.md` explains: pod routes in a table of their own
//! behind one rule, the ENI of a pod as its veth's group, one mark rule per ENI. Nothing here touches the kernel; the
//! dataplane compares these values with what it finds.

pub mod check;
pub mod node;
pub mod pod;

pub use node::{EniDesired, NodeDesired, Randomize, Snat, node};
pub use pod::{PodDesired, PodInterface, pod};

use std::net::Ipv4Addr;

/// Routing table of the pod routes. Collides with none of aws-node's, ec2-net-utils', Cilium's or the kernel's.
pub const POD_TABLE: u32 = 20512;
/// Inside a pod: the table of an interface that found another one's default route there is this plus its index.
pub const POD_SECOND_TABLE: u32 = 20600;
/// Inside a pod: priority of `from <address>`, which leads to that table.
pub const POD_SECOND_RULE: u32 = 512;
/// Priority of the one rule to [`POD_TABLE`]: aws-node's place for its per-pod `to` rules.
pub const POD_RULE: u32 = 512;
/// Priority of `fwmark 0x80/0x80 lookup main`, as aws-node.
pub const PRIMARY_MARK_RULE: u32 = 1024;
/// Priority of `to <external service CIDR> lookup main`, as aws-node; before the mark rules.
pub const EXTERNAL_SERVICE_RULE: u32 = 1535;
/// Priority of the mark rules, one per secondary ENI. Not 1536, which aws-node deletes and re-adds.
pub const ENI_RULE: u32 = 1537;
/// Priority of `from <primary address of the ENI>`, one per secondary ENI, as aws-node.
pub const ENI_SOURCE_RULE: u32 = 32765;
/// Next hop of every pod, answered by a permanent neighbour entry (aws-node's address).
pub const POD_GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// `IFLA_GROUP` of a pod's host veth is this plus the device index of its ENI; ENI links stay in group 0.
pub const GROUP_BASE: u32 = 7000;
/// `IFLA_GROUP` of links that wait for the reaper. Never an ENI's group: a deletion by group takes all of it.
pub const REAPER_GROUP: u32 = 6999;
/// Prefix of the alias (`IFLA_IFALIAS`) of every host veth of ours; the rest is `<container id>/<ifname>`.
pub const ALIAS_PREFIX: &str = "berth:";

/// The bits of the packet mark that carry the device index of the ENI a packet leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkMask(u32);

/// The bits, in mark and conntrack mark, of what must leave by the primary ENI (AWS_VPC_K8S_CNI_CONNMARK): value and mask
/// in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimaryMark(u32);

/// Mark bits that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMask {
    /// Not one run of set bits.
    #[error("mark {0:#x} is not one run of set bits")]
    Holes(u32),
    /// Somebody else's bits.
    #[error("mark {bits:#x} overlaps {taken:#x}, which belongs to {owner}")]
    Taken {
        /// The bits.
        bits: u32,
        /// The bits in use.
        taken: u32,
        /// By whom.
        owner: &'static str,
    },
}

impl MarkMask {
    /// 0x7e: 63 ENIs, free of AWS's 0x80, portmap's 0x2000, kube-proxy's 0xc000 and Calico's upper half, and leaves
    /// bit 0, which people use by hand.
    pub const DEFAULT: Self = Self(0x7e);

    /// Checks a mask.
    ///
    /// # Errors
    /// A mask with holes, or one that overlaps the bits of a neighbour on the node or those of the primary ENI.
    pub fn new(mask: u32, primary: PrimaryMark) -> Result<Self, BadMask> {
        let nodeport = (primary.0, "NodePort and SNAT (AWS_VPC_K8S_CNI_CONNMARK)");
        one_run(mask)?;
        free_of(mask, [nodeport].into_iter().chain(NEIGHBOURS))?;
        Ok(Self(mask))
    }

    /// The mask's bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The mark of the ENI with this device index; `None` if it does not fit. 0 is the primary: no mark at all.
    pub fn mark(self, device_index: u32) -> Option<u32> {
        let mark = device_index.checked_shl(self.0.trailing_zeros())?;
        (mark & !self.0 == 0 && mark >> self.0.trailing_zeros() == device_index).then_some(mark)
    }
}

impl PrimaryMark {
    /// aws-node's.
    pub const DEFAULT: Self = Self(0x80);

    /// Checks a mark.
    ///
    /// # Errors
    /// A mark with holes, or one that overlaps the bits of a neighbour on the node.
    pub fn new(bits: u32) -> Result<Self, BadMask> {
        one_run(bits)?;
        free_of(bits, NEIGHBOURS)?;
        Ok(Self(bits))
    }

    /// The mark's bits, which are its mask as well.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// Bits of the mark that others on a node use: kube-proxy's masquerade and drop marks, portmap's masquerade mark and
/// Calico's default mask, each as its own documentation has it.
const NEIGHBOURS: [(u32, &str); 3] = [
    (0xc000, "kube-proxy"),
    (0x2000, "portmap"),
    (0xffff_0000, "Calico"),
];

fn one_run(bits: u32) -> Result<(), BadMask> {
    if bits == 0 || !((bits >> bits.trailing_zeros()) + 1).is_power_of_two() {
        return Err(BadMask::Holes(bits));
    }
    Ok(())
}

fn free_of(
    bits: u32,
    others: impl IntoIterator<Item = (u32, &'static str)>,
) -> Result<(), BadMask> {
    match others.into_iter().find(|(taken, _)| taken & bits != 0) {
        Some((taken, owner)) => Err(BadMask::Taken { bits, taken, owner }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_default_mask_marks_sixty_three_enis() {
        let default = MarkMask::new(0x7e, PrimaryMark::DEFAULT);
        assert_eq!(default, Ok(MarkMask::DEFAULT));
        assert_eq!(MarkMask::DEFAULT.mark(1), Some(2));
        assert_eq!(MarkMask::DEFAULT.mark(63), Some(0x7e));
        assert_eq!(MarkMask::DEFAULT.mark(64), None);
    }

    #[test]
    fn masks_of_others_are_refused() {
        for mask in [0x80, 0xfe, 0x4000, 0x2000, 0x10000, 0x3000] {
            assert!(
                matches!(
                    MarkMask::new(mask, PrimaryMark::DEFAULT),
                    Err(BadMask::Taken { .. })
                ),
                "{mask:#x}"
            );
        }
        for mask in [0, 0x5, 0x7a] {
            assert!(
                matches!(
                    MarkMask::new(mask, PrimaryMark::DEFAULT),
                    Err(BadMask::Holes(_))
                ),
                "{mask:#x}"
            );
        }
    }

    #[test]
    fn the_primary_mark_may_move_and_its_bits_are_free_then() {
        let moved = PrimaryMark::new(0x100).unwrap();
        assert!(MarkMask::new(0xfe, moved).is_ok());
        assert!(MarkMask::new(0x1fe, moved).is_err());
        for bits in [0, 0x5, 0x4000, 0x2000, 0x8000_0000] {
            assert!(PrimaryMark::new(bits).is_err(), "{bits:#x}");
        }
    }
}
