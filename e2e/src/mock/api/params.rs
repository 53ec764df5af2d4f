//! The parameters of a Query API call. Each is taken once; what nobody took is refused at the end, so that a client
//! that asks for something the mock does not do is told, instead of being silently misunderstood.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;

use crate::mock::error::{Code, Refusal};
use crate::mock::state::Filter;

/// The parameters that are not taken yet.
#[derive(Debug)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    pub(super) fn new(pairs: BTreeMap<String, String>) -> Self {
        Self(pairs)
    }

    /// A text that may be missing.
    pub(super) fn optional(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// A text that may not be missing.
    pub(super) fn required(&mut self, name: &str) -> Result<String, Refusal> {
        self.optional(name)
            .filter(|v| !v.is_empty())
            .ok_or_else(|| {
                Code::MissingParameter
                    .because(format!("The request must contain the parameter {name}"))
            })
    }

    /// A value of another type that may be missing.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        self.optional(name).map(|v| parse(name, &v)).transpose()
    }

    /// `Name.1`, `Name.2`, ..., in their order.
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        self.groups(name)
            .into_iter()
            .filter_map(|mut group| group.remove(""))
            .collect()
    }

    /// A list of addresses.
    pub(super) fn addresses(&mut self, name: &str) -> Result<Vec<Ipv4Addr>, Refusal> {
        self.list(name).iter().map(|v| parse(name, v)).collect()
    }

    /// A list of prefixes.
    pub(super) fn prefixes(&mut self, name: &str) -> Result<Vec<Ipv4Net>, Refusal> {
        self.list(name).iter().map(|v| parse(name, v)).collect()
    }

    /// `Ipv4Prefix.N.Ipv4Prefix`, which is how CreateNetworkInterface alone has them.
    pub(super) fn prefix_specifications(&mut self) -> Result<Vec<Ipv4Net>, Refusal> {
        let mut prefixes = Vec::new();
        for group in self.groups("Ipv4Prefix") {
            let mut members = Self(group);
            prefixes.push(parse("Ipv4Prefix", &members.required("Ipv4Prefix")?)?);
            members.finish()?;
        }
        Ok(prefixes)
    }

    /// `Name.1.Member`, `Name.2.Member`, ...: one map of members per number. A plain `Name.1` has the member "".
    pub(super) fn groups(&mut self, name: &str) -> Vec<BTreeMap<String, String>> {
        let mut groups: BTreeMap<u32, BTreeMap<String, String>> = BTreeMap::new();
        let prefix = format!("{name}.");
        self.0.retain(|key, value| {
            let Some(rest) = key.strip_prefix(&prefix) else {
                return true;
            };
            let (number, member) = rest.split_once('.').unwrap_or((rest, ""));
            let Ok(number) = number.parse() else {
                return true;
            };
            let group = groups.entry(number).or_default();
            group.insert(member.to_owned(), std::mem::take(value));
            false
        });
        groups.into_values().collect()
    }

    /// `Filter.N.Name` with `Filter.N.Value.M`.
    pub(super) fn filters(&mut self) -> Result<Vec<Filter>, Refusal> {
        let mut filters = Vec::new();
        for group in self.groups("Filter") {
            let mut members = Self(group);
            filters.push(Filter {
                name: members.required("Name")?,
                values: members.list("Value"),
            });
            members.finish()?;
        }
        Ok(filters)
    }

    /// `Tag.N.Key` with `Tag.N.Value`.
    pub(super) fn tags(&mut self) -> Result<BTreeMap<String, String>, Refusal> {
        let mut tags = BTreeMap::new();
        for group in self.groups("Tag") {
            let mut members = Self(group);
            let key = members.required("Key")?;
            tags.insert(key, members.optional("Value").unwrap_or_default());
            members.finish()?;
        }
        Ok(tags)
    }

    /// `TagSpecification.N`, which must be for network interfaces.
    pub(super) fn tag_specifications(&mut self) -> Result<BTreeMap<String, String>, Refusal> {
        let mut tags = BTreeMap::new();
        for group in self.groups("TagSpecification") {
            let mut members = Self(group);
            let kind = members.required("ResourceType")?;
            if kind != "network-interface" {
                return Err(Code::InvalidParameterValue.because(format!(
                    "'{kind}' is not a valid taggable resource type here"
                )));
            }
            tags.extend(members.tags()?);
            members.finish()?;
        }
        Ok(tags)
    }

    /// Refuses what is left.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                Err(Code::UnknownParameter
                    .because(format!("The parameter {name} is not recognized")))
            }
        }
    }
}

fn parse<T: FromStr>(name: &str, value: &str) -> Result<T, Refusal> {
    value.parse().map_err(|_| {
        Code::InvalidParameterValue
            .because(format!("Value ({value}) for parameter {name} is invalid."))
    })
}
