//! How many pods kubelet should take on an instance type. Not what berth holds.

use serde::Serialize;

use super::catalogue::InstanceType;

/// Addresses of a /28 prefix.
const PER_PREFIX: u32 = 16;
/// Pods that both formulas allow beyond the addresses: aws-node and kube-proxy, which are on the host network.
const HOST_NETWORK: u32 = 2;
/// Up to so many vCPUs EKS recommends [`FEW`] pods at most, else [`MANY`] (`max-pods-calculator.sh` of the EKS AMI; EKS user
/// guide, "Amazon EKS recommended maximum Pods for each Amazon EC2 instance type").
const SMALL_VCPUS: u32 = 30;
/// For small types.
const FEW: u32 = 110;
/// For the others.
const MANY: u32 = 250;

/// Pods on one node, hostNetwork pods included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MaxPods {
    /// With single addresses: ENIs x (addresses - 1) + 2, as in aws-node's `eni-max-pods.txt`.
    pub singles: u32,
    /// With /28 prefixes: ENIs x (addresses - 1) x 16 + 2; `None` where the type takes none.
    pub prefixes: Option<u32>,
    /// What EKS recommends with single addresses: no more than 110 or 250.
    pub recommended_singles: u32,
    /// What EKS recommends with prefixes.
    pub recommended_prefixes: Option<u32>,
}

impl MaxPods {
    /// Of `kind`. Where nobody knows its vCPUs it counts as small.
    pub fn of(kind: InstanceType) -> Self {
        let slots = kind.limits.enis * kind.limits.slots_per_eni;
        let singles = slots + HOST_NETWORK;
        let prefixes = kind
            .limits
            .prefixes
            .then_some(slots * PER_PREFIX + HOST_NETWORK);
        let small = kind.vcpus.is_none_or(|vcpus| vcpus <= SMALL_VCPUS);
        let most = if small { FEW } else { MANY };
        Self {
            singles,
            prefixes,
            recommended_singles: singles.min(most),
            recommended_prefixes: prefixes.map(|pods| pods.min(most)),
        }
    }

    /// What a plan assumes where it is not told: EKS's recommendation for the mode that takes most.
    pub fn assumed(self) -> u32 {
        self.recommended_prefixes
            .unwrap_or(self.recommended_singles)
    }
}

/// Addresses that the pods of one node can have: the type's, in the mode that has most.
pub fn addresses(kind: InstanceType) -> u32 {
    let slots = kind.limits.enis * kind.limits.slots_per_eni;
    if kind.limits.prefixes {
        slots * PER_PREFIX
    } else {
        slots
    }
}

#[cfg(test)]
mod tests {
    use ipam::Limits;

    use super::*;

    fn kind(enis: u32, per_eni: u32, prefixes: bool, vcpus: u32) -> InstanceType {
        InstanceType {
            limits: Limits {
                enis,
                slots_per_eni: per_eni - 1,
                prefixes,
            },
            vcpus: Some(vcpus),
        }
    }

    /// Singles: `misc/eni-max-pods.txt` of amazon-vpc-cni-k8s. Recommended: what `max-pods-calculator.sh` of amazon-eks-ami
    /// prints; its 110 for a c5.large with prefixes is the example of EKS's page on prefixes.
    #[test]
    fn published_figures_come_out() {
        for (name, kind, singles, prefixes, recommended) in [
            (
                "t3.medium",
                kind(3, 6, true, 2),
                17,
                Some(242),
                (17, Some(110)),
            ),
            (
                "m5.large",
                kind(3, 10, true, 2),
                29,
                Some(434),
                (29, Some(110)),
            ),
            (
                "c5.large",
                kind(3, 10, true, 2),
                29,
                Some(434),
                (29, Some(110)),
            ),
            (
                "m5.xlarge",
                kind(4, 15, true, 4),
                58,
                Some(898),
                (58, Some(110)),
            ),
            (
                "m5.4xlarge",
                kind(8, 30, true, 16),
                234,
                Some(3714),
                (110, Some(110)),
            ),
            (
                "m6a.32xlarge",
                kind(15, 50, true, 128),
                737,
                Some(11762),
                (250, Some(250)),
            ),
            ("t3.nano", kind(2, 2, true, 2), 4, Some(34), (4, Some(34))),
            // Xen.
            ("m3.2xlarge", kind(4, 30, false, 8), 118, None, (110, None)),
            (
                "m4.10xlarge",
                kind(8, 30, false, 40),
                234,
                None,
                (234, None),
            ),
        ] {
            let pods = MaxPods::of(kind);
            assert_eq!((pods.singles, pods.prefixes), (singles, prefixes), "{name}");
            let told = (pods.recommended_singles, pods.recommended_prefixes);
            assert_eq!(told, recommended, "{name}");
        }
    }

    #[test]
    fn the_cap_changes_above_thirty_vcpus() {
        let most = |vcpus| {
            MaxPods::of(InstanceType {
                vcpus,
                ..kind(8, 30, true, 0)
            })
            .assumed()
        };
        assert_eq!(
            [most(Some(30)), most(Some(31)), most(None)],
            [110, 250, 110]
        );
    }
}
