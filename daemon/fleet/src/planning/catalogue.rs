//! The instance types that a plan may name. Where they come from is the caller's.

use std::collections::BTreeMap;

use ipam::Limits;

use super::nearest::nearest;

/// What a plan needs of an instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// What its ENIs take.
    pub limits: Limits,
    /// Default vCPUs; `None` where nobody knows.
    pub vcpus: Option<u32>,
}

/// Instance types by name.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    types: BTreeMap<String, InstanceType>,
}

impl Catalogue {
    /// A type by its name.
    pub fn get(&self, name: &str) -> Option<InstanceType> {
        self.types.get(name).copied()
    }

    /// The names that are most like `name`, the likest first.
    pub fn nearest(&self, name: &str) -> Vec<String> {
        nearest(name, self.types.keys().map(String::as_str))
    }
}

impl FromIterator<(String, InstanceType)> for Catalogue {
    fn from_iter<T: IntoIterator<Item = (String, InstanceType)>>(types: T) -> Self {
        Self {
            types: types.into_iter().collect(),
        }
    }
}
