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

use serde::{Deserialize, Serialize};

/// Routing table of the pod routes. Collides with none of aws-node's, ec2-net-utils', Cilium's or the kernel's.
pub const POD_TABLE: u32 = 20512;
/// Priority of the one rule to [`POD_TABLE`]: aws-node's place for its per-pod `to` rules.
pub const POD_RULE: u32 = 512;
/// Priority of `fwmark 0x80/0x80 lookup main`, as aws-node.
pub const PRIMARY_MARK_RULE: u32 = 1024;
/// Priority of the mark rules, one per secondary ENI. Not 1536, which aws-node deletes and re-adds.
pub const ENI_RULE: u32 = 1537;
/// Priority of `from <primary address of the ENI>`, one per secondary ENI, as aws-node.
pub const ENI_SOURCE_RULE: u32 = 32765;
/// The bit, in mark and conntrack mark, of what must leave by the primary ENI (aws-node's AWS_VPC_K8S_CNI_CONNMARK).
pub const PRIMARY_MARK: u32 = 0x80;
/// Next hop of every pod, answered by a permanent neighbour entry (aws-node's address).
pub const POD_GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// `IFLA_GROUP` of a pod's host veth is this plus the device index of its ENI; ENI links stay in group 0.
pub const GROUP_BASE: u32 = 7000;
/// `IFLA_GROUP` of links that wait for the reaper. Never an ENI's group: a deletion by group takes all of it.
pub const REAPER_GROUP: u32 = 6999;
/// Prefix of the alias (`IFLA_IFALIAS`) of every host veth of ours; the rest is `<container id>/<ifname>`.
pub const ALIAS_PREFIX: &str = "berth:";

/// The bits of the packet mark that carry the device index of the ENI a packet leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct MarkMask(u32);

/// A mask that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMask {
    /// Not one run of set bits.
    #[error("mark mask {0:#x} is not one run of set bits")]
    Holes(u32),
    /// Somebody else's bits.
    #[error("mark mask {mask:#x} overlaps {taken:#x}, which belongs to {owner}")]
    Taken {
        /// The mask.
        mask: u32,
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
    /// A mask with holes, or one that overlaps the bits of a neighbour on the node.
    pub fn new(mask: u32) -> Result<Self, BadMask> {
        const TAKEN: [(u32, &str); 4] = [
            (PRIMARY_MARK, "aws-node and berth (NodePort and SNAT)"),
            (0xc000, "kube-proxy"),
            (0x2000, "portmap"),
            (0xffff_0000, "Calico"),
        ];
        if mask == 0 || !((mask >> mask.trailing_zeros()) + 1).is_power_of_two() {
            return Err(BadMask::Holes(mask));
        }
        match TAKEN.into_iter().find(|(bits, _)| bits & mask != 0) {
            Some((taken, owner)) => Err(BadMask::Taken { mask, taken, owner }),
            None => Ok(Self(mask)),
        }
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

impl TryFrom<u32> for MarkMask {
    type Error = BadMask;

    fn try_from(mask: u32) -> Result<Self, BadMask> {
        Self::new(mask)
    }
}

impl From<MarkMask> for u32 {
    fn from(mask: MarkMask) -> Self {
        mask.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_mask_marks_sixty_three_enis() {
        assert_eq!(MarkMask::new(0x7e), Ok(MarkMask::DEFAULT));
        assert_eq!(MarkMask::DEFAULT.mark(1), Some(2));
        assert_eq!(MarkMask::DEFAULT.mark(63), Some(0x7e));
        assert_eq!(MarkMask::DEFAULT.mark(64), None);
    }

    #[test]
    fn masks_of_others_are_refused() {
        for mask in [0x80, 0xfe, 0x4000, 0x2000, 0x10000, 0x3000] {
            assert!(
                matches!(MarkMask::new(mask), Err(BadMask::Taken { .. })),
                "{mask:#x}"
            );
        }
        for mask in [0, 0x5, 0x7a] {
            assert!(
                matches!(MarkMask::new(mask), Err(BadMask::Holes(_))),
                "{mask:#x}"
            );
        }
    }
}
