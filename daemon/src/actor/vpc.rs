//! What may change about the VPC while the node lives: its CIDRs, and the security groups of the primary ENI, which are
//! also those of the ENIs made in its likeness. Metadata is read again from time to time, as aws-node does; what an ENI has
//! is what a Describe shows.

use std::collections::BTreeSet;
use std::time::Duration;

use ec2::{Ec2Error, Kind};
use ipam::action::Described;
use ipam::{EniId, EniState, Outcome, Ownership};
use tracing::info;

use super::Actor;
use super::effects::{self, Effect, Identified, Ports};
use crate::degraded::{Feature, remedy};

/// Between two readings of metadata; aws-node's interval for both.
const EVERY: Duration = Duration::from_secs(30);

/// What to do about a denial of the change of groups.
const IF_DENIED: &str = "allow ec2:ModifyNetworkInterfaceAttribute (AmazonEKS_CNI_Policy has it); it is tried again each 30 s";

/// The security groups of our ENIs.
#[derive(Default)]
pub(super) struct SecurityGroups {
    /// ENIs that may have others than the primary.
    stale: BTreeSet<EniId>,
    /// Whether the primary's have changed while this daemon ran: an ENI that was being made then may have the old ones.
    changed: bool,
    /// Whether EC2 is being asked.
    setting: bool,
}

impl Actor {
    pub(super) fn refresh_later(&mut self) {
        let ports = self.ports.clone();
        let known = self.facts.clone();
        self.run_effect(async move {
            tokio::time::sleep(EVERY).await;
            Effect::Refreshed(effects::identified(&ports, known).await)
        });
    }

    /// What metadata says now. What it does not say, or says to be empty, stays as it was.
    pub(super) fn refreshed(&mut self, result: Result<Identified, String>) {
        self.refresh_later();
        let Some(facts) = &mut self.facts else {
            return;
        };
        let fresh = match result {
            Ok(identified) if identified.facts.primary.id == facts.primary.id => identified.facts,
            Ok(_) => return,
            Err(error) => {
                return self.degraded.set(
                    Feature::VpcChanges,
                    error,
                    "see that instance metadata (IMDS) can be reached from the node",
                );
            }
        };
        self.degraded.clear(Feature::VpcChanges);
        let (cidrs, groups) = (fresh.vpc_cidrs, fresh.primary.security_groups);
        let of_vpc = !cidrs.is_empty() && !same(&cidrs, &facts.vpc_cidrs);
        if of_vpc {
            info!(before = ?facts.vpc_cidrs, now = ?cidrs, "the VPC's CIDRs have changed");
            facts.vpc_cidrs = cidrs;
        }
        let of_primary = !groups.is_empty() && !same(&groups, &facts.primary.security_groups);
        if of_primary {
            info!(before = ?facts.primary.security_groups, now = ?groups, "the primary ENI's security groups have changed");
            facts.primary.security_groups = groups;
            self.groups.changed = true;
            self.groups.stale = self.our_enis();
        }
        if of_vpc || of_primary {
            self.changed();
        }
        if of_vpc {
            self.lay_out();
        }
        self.set_groups();
    }

    fn our_enis(&self) -> BTreeSet<EniId> {
        let ours =
            |eni: &&ipam::Eni| eni.ownership == Ownership::Ours && eni.state != EniState::Detached;
        self.pool
            .enis()
            .filter(ours)
            .map(|eni| eni.id.clone())
            .collect()
    }

    /// What an action tells of security groups.
    pub(super) fn note_groups(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Described(described) => self.compare_groups(described),
            Outcome::Created(created) if self.groups.changed => {
                self.groups.stale.insert(created.id.clone());
            }
            _ => return,
        }
        self.set_groups();
    }

    fn compare_groups(&mut self, described: &Described) {
        let Some(facts) = &self.facts else {
            return;
        };
        let ours = self.our_enis();
        for eni in described.enis.iter().filter(|eni| ours.contains(&eni.id)) {
            if same(&eni.security_groups, &facts.primary.security_groups) {
                self.groups.stale.remove(&eni.id);
            } else {
                self.groups.stale.insert(eni.id.clone());
            }
        }
    }

    /// Has EC2 set the primary's security groups on the ENIs that may have others. Doing it twice does no harm, so nothing
    /// is written down before.
    fn set_groups(&mut self) {
        let Some(facts) = &self.facts else {
            return;
        };
        if self.groups.stale.is_empty() || self.groups.setting || self.stopping.is_some() {
            return;
        }
        self.groups.setting = true;
        let (ports, enis) = (self.ports.clone(), self.groups.stale.clone());
        let groups = facts.primary.security_groups.clone();
        self.run_effect(async move {
            let results = set_all(&ports, enis, &groups).await;
            Effect::Regrouped { groups, results }
        });
    }

    /// What could not be set is tried again at the next reading of metadata.
    pub(super) fn regrouped(
        &mut self,
        groups: &[String],
        results: Vec<(EniId, Result<(), Ec2Error>)>,
    ) {
        self.groups.setting = false;
        let wanted = self
            .facts
            .as_ref()
            .map(|facts| facts.primary.security_groups.as_slice());
        let mut refused = None;
        for (eni, result) in results {
            match result {
                Err(error) if error.kind != Kind::NotFound => {
                    let why = format!("security groups of {eni}: {error}");
                    refused = Some((why, remedy(error.kind, IF_DENIED)));
                }
                // Gone, or as wanted unless they have changed meanwhile.
                result => {
                    if result.is_ok() {
                        info!(%eni, ?groups, "security groups set");
                    }
                    if wanted == Some(groups) {
                        self.groups.stale.remove(&eni);
                    }
                }
            }
        }
        match refused {
            Some((why, remedy)) => self.degraded.set(Feature::SecurityGroups, why, remedy),
            None => self.degraded.clear(Feature::SecurityGroups),
        }
    }
}

async fn set_all(
    ports: &Ports,
    enis: BTreeSet<EniId>,
    groups: &[String],
) -> Vec<(EniId, Result<(), Ec2Error>)> {
    let mut results = Vec::new();
    for eni in enis {
        let set = ports.ec2.set_security_groups(&eni.0, groups).await;
        results.push((eni, set));
    }
    results
}

/// Whether both have the same members, in whatever order.
fn same<T: Ord>(one: &[T], other: &[T]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect()
}
