//! What must hold on a settled node, whatever happened before: checked against the cloud and the kernel, not only against
//! what the daemon says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipam::address::named;
use ipam::desired::GROUP_BASE;
use tokio::time::sleep;

use super::node::{MILLISECOND, Node, alias};

/// The pods whose ADD was answered, with the answer.
pub type Live = BTreeMap<String, Ipv4Addr>;

impl Node {
    /// Checks everything at once; `live` are the pods that must stand, and no others may.
    pub async fn assert_sound(&self, live: &Live) {
        // Not at the very instant of one of the daemon's own deadlines.
        sleep(350 * MILLISECOND).await;
        assert_eq!(self.kernel.wrongs(), Vec::<String>::new());
        self.assert_pods_stand(live);
        self.assert_attachments(live).await;
        self.assert_nothing_lost().await;
    }

    /// Each pod has its link on the ENI that holds its address in EC2, and nothing else has links.
    fn assert_pods_stand(&self, live: &Live) {
        let (pods, enis) = (self.kernel.pods(), self.cloud.holdings());
        let expected: BTreeSet<String> = live.keys().map(|sandbox| alias(sandbox)).collect();
        let standing: BTreeSet<String> = pods.keys().cloned().collect();
        assert_eq!(standing, expected, "links in the kernel");
        for (sandbox, address) in live {
            let pod = &pods[&alias(sandbox)];
            assert_eq!(pod.address, Some(*address), "{sandbox}'s route");
            let attached_there = enis.values().filter(|eni| {
                let at = eni.attachment.as_ref();
                at.is_some_and(|at| {
                    at.network_card == 0 && at.device_index + GROUP_BASE == pod.group
                })
            });
            let holds = attached_there
                .flat_map(of_pods)
                .any(|held| held == *address);
            assert!(
                holds,
                "EC2 does not have {sandbox}'s {address} on its ENI: {enis:?}"
            );
        }
        let addresses: BTreeSet<&Ipv4Addr> = live.values().collect();
        assert_eq!(addresses.len(), live.len(), "an address twice in {live:?}");
    }

    async fn assert_attachments(&self, live: &Live) {
        let report = self.report().await;
        let attachments = report.attachments.into_iter();
        let known: Live = attachments.map(|a| (a.container_id, a.address)).collect();
        assert_eq!(known, *live, "attachments");
    }

    /// EC2's ENIs and addresses are those of the report, and nothing is under way.
    async fn assert_nothing_lost(&self) {
        let report = self.report().await;
        assert_eq!(report.intents, Vec::<String>::new(), "{:?}", report.reasons);
        let known: BTreeMap<String, BTreeSet<Ipv4Addr>> = report
            .enis
            .into_iter()
            .filter(|eni| eni.ownership != "foreign")
            .map(|eni| (eni.id, eni.held.into_keys().collect()))
            .collect();
        assert_eq!(known, self.ours_in_ec2(), "pool and EC2");
        let on_disk = self.on_disk().pool;
        assert!(on_disk.intents.is_empty(), "{:?}", on_disk.intents);
        let held = on_disk.addresses.values().filter(|a| a.is_held()).count();
        assert_eq!(held, self.held_in_ec2(), "disk and EC2");
        assert_eq!(report.addresses.unassigning, 0);
    }

    /// The addresses for pods that EC2 has for this node, by ENI; the ENIs of others left out.
    pub fn ours_in_ec2(&self) -> BTreeMap<String, BTreeSet<Ipv4Addr>> {
        let primary = self.cloud.primary();
        let ours = |eni: &ec2::NetworkInterface| {
            Some(&eni.id) == primary.as_ref() || eni.description.starts_with("aws-K8S-")
        };
        let holdings = self.cloud.holdings().into_values();
        holdings
            .filter(ours)
            .map(|eni| (eni.id.clone(), of_pods(&eni).collect()))
            .collect()
    }

    /// How many addresses for pods EC2 has for this node.
    pub fn held_in_ec2(&self) -> usize {
        self.ours_in_ec2().values().map(BTreeSet::len).sum()
    }
}

/// The addresses for pods of an ENI: single ones, and those of its prefixes.
fn of_pods(eni: &ec2::NetworkInterface) -> impl Iterator<Item = Ipv4Addr> {
    let named = named(&eni.secondary_addresses, &eni.prefixes);
    named.map(|(address, _)| address)
}

/// The sandboxes `p<n>` with the answers to their ADDs.
pub fn live(numbers: std::ops::Range<usize>, answers: &[berth_cni::contract::Added]) -> Live {
    assert_eq!(numbers.len(), answers.len());
    let sandboxes = numbers.map(|n| format!("p{n}"));
    sandboxes
        .zip(answers.iter().map(|added| added.address))
        .collect()
}
