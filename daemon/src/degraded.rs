//! Features that do not work at present although they should, and why: one list for the log, the status and the metrics.
//! Pods are served all the same; what keeps pods from being served is an `ipam::Reason`.

use std::collections::BTreeMap;
use std::sync::Arc;

use ec2::Kind;
use ipam::Reason;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::report::DegradedReport;

/// What can be away while the daemon serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// `/metrics`, `/livez` and `/readyz`.
    Metrics,
    /// `/v1/enis`.
    Introspection,
    /// How many addresses the node's subnet has left.
    SubnetFreeAddresses,
    /// Noticing that the VPC's CIDRs or the primary ENI's security groups have changed.
    VpcChanges,
    /// Giving ENIs the primary's security groups.
    SecurityGroups,
    /// Seeing pods when they are bound to the node, before their ADD.
    BoundPods,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Metrics,
        Self::Introspection,
        Self::SubnetFreeAddresses,
        Self::VpcChanges,
        Self::SecurityGroups,
        Self::BoundPods,
    ];

    /// Its name, for tools.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Introspection => "introspection",
            Self::SubnetFreeAddresses => "subnet-free-addresses",
            Self::VpcChanges => "vpc-changes",
            Self::SecurityGroups => "security-groups",
            Self::BoundPods => "bound-pods",
        }
    }
}

/// What to do about a call to EC2 that fails: `denied` if the role lacks the permission.
pub fn remedy(kind: Kind, denied: &'static str) -> &'static str {
    match kind {
        Kind::AccessDenied => denied,
        Kind::CredentialsRefused => {
            let message = String::new();
            Reason::CredentialsRefused { message }.remedy()
        }
        _ => "nothing to do: it is asked again",
    }
}

/// Why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Why {
    message: String,
    remedy: &'static str,
}

/// The list. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Degraded(Arc<watch::Sender<BTreeMap<Feature, Why>>>);

impl Degraded {
    /// A feature does not work. Logged when that, or the reason for it, is new.
    pub fn set(&self, feature: Feature, message: String, remedy: &'static str) {
        let why = Why { message, remedy };
        if self.0.borrow().get(&feature) != Some(&why) {
            warn!(
                feature = feature.name(),
                why = why.message,
                remedy,
                "degraded"
            );
            self.0.send_modify(|list| {
                list.insert(feature, why);
            });
        }
    }

    /// A feature works. Logged if it did not before.
    pub fn clear(&self, feature: Feature) {
        let was_on = |list: &mut BTreeMap<Feature, Why>| list.remove(&feature).is_some();
        if self.0.send_if_modified(was_on) {
            info!(feature = feature.name(), "works again");
        }
    }

    /// The list as it is now.
    pub fn report(&self) -> Vec<DegradedReport> {
        let list = self.0.borrow();
        let entry = |(feature, why): (&Feature, &Why)| DegradedReport {
            feature: feature.name().to_owned(),
            message: why.message.clone(),
            remedy: why.remedy.to_owned(),
        };
        list.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_listed_until_it_works_again() {
        let degraded = Degraded::default();
        degraded.set(Feature::Metrics, "port taken".to_owned(), "free it");
        degraded.set(Feature::Introspection, "away".to_owned(), "wait");
        degraded.set(Feature::Metrics, "address away".to_owned(), "wait");
        let told: Vec<_> = (degraded.report().into_iter())
            .map(|entry| (entry.feature, entry.message))
            .collect();
        let entry = |feature: &str, message: &str| (feature.to_owned(), message.to_owned());
        assert_eq!(
            told,
            [
                entry("metrics", "address away"),
                entry("introspection", "away")
            ]
        );
        degraded.clear(Feature::Metrics);
        degraded.clear(Feature::Introspection);
        degraded.clear(Feature::Introspection);
        assert_eq!(degraded.report(), []);
    }
}
