//! What was changed in the kernel, object by object.

use std::fmt;

use super::{DataplaneError, Part};

/// A kind of object that is compared and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// An ENI's link: state, MTU, MAC.
    EniLink,
    /// An address on an ENI's link.
    EniAddress,
    /// A route of an ENI, or of one of its prefixes.
    EniRoute,
    /// A policy rule.
    Rule,
    /// A sysctl of the node or of an ENI's link.
    Sysctl,
    /// A chain, map element or other member of the nftables table.
    Nft,
    /// The host's end of a pod: state, group, MAC, alias.
    PodLink,
    /// The route to a pod.
    PodRoute,
    /// A sysctl of a pod's host end.
    PodSysctl,
}

impl Object {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::EniLink,
        Self::EniAddress,
        Self::EniRoute,
        Self::Rule,
        Self::Sysctl,
        Self::Nft,
        Self::PodLink,
        Self::PodRoute,
        Self::PodSysctl,
    ];

    /// The part that it is of.
    pub const fn part(self) -> Part {
        match self {
            Self::EniLink | Self::EniAddress | Self::EniRoute | Self::Sysctl => Part::Enis,
            Self::Rule => Part::Rules,
            Self::Nft => Part::Nft,
            Self::PodLink | Self::PodRoute | Self::PodSysctl => Part::Pods,
        }
    }

    /// Its name in status, log and metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EniLink => "eni_link",
            Self::EniAddress => "eni_address",
            Self::EniRoute => "eni_route",
            Self::Rule => "rule",
            Self::Sysctl => "sysctl",
            Self::Nft => "nft",
            Self::PodLink => "pod_link",
            Self::PodRoute => "pod_route",
            Self::PodSysctl => "pod_sysctl",
        }
    }
}

/// One object that was not as desired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What kind of object.
    pub object: Object,
    /// Which one, in the words of `ip` or `nft`.
    pub what: String,
}

/// What was changed; empty when the kernel was as desired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(pub Vec<Change>);

impl Changes {
    /// How many objects of this kind.
    pub fn count(&self, object: Object) -> usize {
        self.0
            .iter()
            .filter(|change| change.object == object)
            .count()
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that an object was changed.
    pub fn add(&mut self, object: Object, what: impl fmt::Display) {
        let what = what.to_string();
        self.0.push(Change { object, what });
    }

    /// Notes that an object was changed, if it was.
    pub fn add_if(&mut self, changed: bool, object: Object, what: impl fmt::Display) {
        if changed {
            self.add(object, what);
        }
    }
}

/// Not everything could be made as desired.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unfinished {
    /// What was changed nevertheless.
    pub changes: Changes,
    /// Why the rest was not. If there are several reasons, the others are in the log.
    #[source]
    pub error: DataplaneError,
}

impl From<DataplaneError> for Unfinished {
    fn from(error: DataplaneError) -> Self {
        Self {
            changes: Changes::default(),
            error,
        }
    }
}
