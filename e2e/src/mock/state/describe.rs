//! Which ENIs, instances and subnets a Describe call shows: ids, filters and pages.

use super::{Attachment, Eni, Instance, State, Subnet};
use crate::mock::error::{Code, Refusal};

/// A filter: the thing passes if any value matches. `*` and `?` match as in EC2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// For example `attachment.instance-id` or `tag:Name`.
    pub name: String,
    /// Alternatives.
    pub values: Vec<String>,
}

/// One page of a long answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// Where the next one starts, if there is one.
    pub next: Option<String>,
}

impl State {
    /// The ENIs that a DescribeNetworkInterfaces shows, by id. An unknown id refuses the whole call.
    pub fn select_enis(&self, ids: &[String], filters: &[Filter]) -> Result<Vec<&Eni>, Refusal> {
        let shown: Vec<&Eni> = if ids.is_empty() {
            self.enis.values().collect()
        } else {
            ids.iter()
                .map(|id| self.eni(id))
                .collect::<Result<_, _>>()?
        };
        known_filters(filters, |name| {
            name.starts_with("tag:") || ENI_FILTERS.iter().any(|(known, _)| *known == name)
        })?;
        Ok(shown
            .into_iter()
            .filter(|eni| filters.iter().all(|f| passes(self, eni, f)))
            .collect())
    }

    /// The subnets that a DescribeSubnets shows.
    pub fn select_subnets(
        &self,
        ids: &[String],
        filters: &[Filter],
    ) -> Result<Vec<&Subnet>, Refusal> {
        let shown: Vec<&Subnet> = if ids.is_empty() {
            self.subnets.values().collect()
        } else {
            ids.iter()
                .map(|id| self.subnet(id))
                .collect::<Result<_, _>>()?
        };
        let names = ["subnet-id", "vpc-id", "availability-zone", "cidr-block"];
        known_filters(filters, |name| names.contains(&name))?;
        Ok(shown
            .into_iter()
            .filter(|s| {
                filters.iter().all(|f| {
                    f.passes(&match f.name.as_str() {
                        "subnet-id" => vec![s.id.clone()],
                        "vpc-id" => vec![self.vpc_id.clone()],
                        "availability-zone" => vec![s.zone.clone()],
                        _ => vec![s.cidr.to_string()],
                    })
                })
            })
            .collect())
    }

    /// The instances that a DescribeInstances shows.
    pub fn select_instances(
        &self,
        ids: &[String],
        filters: &[Filter],
    ) -> Result<Vec<&Instance>, Refusal> {
        let shown: Vec<&Instance> = if ids.is_empty() {
            self.instances.values().collect()
        } else {
            ids.iter()
                .map(|id| self.instance(id))
                .collect::<Result<_, _>>()?
        };
        let names = ["instance-id", "vpc-id", "subnet-id", "instance-type"];
        known_filters(filters, |name| names.contains(&name))?;
        Ok(shown
            .into_iter()
            .filter(|i| {
                filters.iter().all(|f| {
                    f.passes(&match f.name.as_str() {
                        "instance-id" => vec![i.id.clone()],
                        "vpc-id" => vec![self.vpc_id.clone()],
                        "subnet-id" => vec![i.subnet_id.clone()],
                        _ => vec![i.instance_type.clone()],
                    })
                })
            })
            .collect())
    }
}

/// What a filter looks at.
type Field = fn(&State, &Eni) -> Vec<String>;

/// The filters of DescribeNetworkInterfaces, but for `tag:<key>`.
const ENI_FILTERS: &[(&str, Field)] = &[
    ("tag-key", |_, e| e.tags.keys().cloned().collect()),
    ("network-interface-id", |_, e| vec![e.id.clone()]),
    ("subnet-id", |_, e| vec![e.subnet_id.clone()]),
    ("vpc-id", |s, _| vec![s.vpc_id.clone()]),
    ("status", |_, e| vec![e.status().to_owned()]),
    ("description", |_, e| vec![e.description.clone()]),
    ("mac-address", |_, e| vec![e.mac.clone()]),
    ("group-id", |_, e| e.groups.clone()),
    ("private-ip-address", |_, e| vec![e.primary.to_string()]),
    ("addresses.private-ip-address", |_, e| {
        e.addresses().map(|a| a.to_string()).collect()
    }),
    ("availability-zone", |s, e| {
        let subnet = s.subnets.get(&e.subnet_id);
        subnet.map(|s| s.zone.clone()).into_iter().collect()
    }),
    ("attachment.instance-id", |_, e| {
        attachment_field(e, |a| a.instance_id.clone())
    }),
    ("attachment.attachment-id", |_, e| {
        attachment_field(e, |a| a.id.clone())
    }),
    ("attachment.status", |_, e| {
        attachment_field(e, |a| a.status.as_str().to_owned())
    }),
    ("attachment.device-index", |_, e| {
        attachment_field(e, |a| a.device_index.to_string())
    }),
];

fn attachment_field(eni: &Eni, field: fn(&Attachment) -> String) -> Vec<String> {
    eni.attachment.as_ref().map(field).into_iter().collect()
}

/// Whether an ENI passes a filter whose name is known.
fn passes(state: &State, eni: &Eni, filter: &Filter) -> bool {
    if let Some(key) = filter.name.strip_prefix("tag:") {
        return eni
            .tags
            .get(key)
            .is_some_and(|v| filter.passes(std::slice::from_ref(v)));
    }
    ENI_FILTERS
        .iter()
        .find(|(name, _)| *name == filter.name)
        .is_some_and(|(_, field)| filter.passes(&field(state, eni)))
}

fn known_filters(filters: &[Filter], known: impl Fn(&str) -> bool) -> Result<(), Refusal> {
    match filters.iter().find(|f| !known(&f.name)) {
        None => Ok(()),
        Some(f) => {
            Err(Code::InvalidParameterValue.because(format!("The filter '{}' is invalid", f.name)))
        }
    }
}

impl Filter {
    fn passes(&self, fields: &[String]) -> bool {
        fields.iter().any(|field| {
            self.values
                .iter()
                .any(|v| matches(v.as_bytes(), field.as_bytes()))
        })
    }
}

/// `*` is any run of characters, `?` any one.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if matches(rest, text) => true,
        (Some((b'*', _)), Some((_, tail))) => matches(pattern, tail),
        (Some((p, rest)), Some((t, tail))) if *p == b'?' || p == t => matches(rest, tail),
        _ => false,
    }
}

impl<T: Clone> Page<T> {
    /// Cuts a page out of everything. Tokens are positions, good for an unchanged list.
    pub fn cut(all: &[T], max: Option<usize>, token: Option<&str>) -> Result<Self, Refusal> {
        let start = match token {
            None => 0,
            Some(t) => t
                .strip_prefix("page-")
                .and_then(|n| n.parse().ok())
                .ok_or_else(|| {
                    Code::InvalidParameterValue.because("Invalid value for nextToken")
                })?,
        };
        let rest = all.get(start..).unwrap_or_default();
        let size = max.unwrap_or(rest.len()).min(rest.len());
        Ok(Self {
            items: rest.get(..size).unwrap_or_default().to_vec(),
            next: (size < rest.len()).then(|| format!("page-{}", start.saturating_add(size))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_match_as_in_ec2() {
        for (pattern, text, want) in [
            ("aws-K8S-*", "aws-K8S-i-1", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("abc", "abcd", false),
            ("*-1", "aws-K8S-i-1", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                want,
                "{pattern} {text}"
            );
        }
    }
}
