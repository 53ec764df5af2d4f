//! Workloads that people state themselves: a JSON file with subnets, groups of nodes, and what pods come to each.
//!
//! ```json
//! {
//!   "name": "shop",
//!   "subnets": [{ "cidr": "10.0.0.0/24", "others": 20, "scattered": true }],
//!   "groups": [{
//!     "count": 4, "type": "m5.large", "enis": 3, "addresses_per_eni": 10, "vcpus": 2, "joins_s": [0, 30],
//!     "pods": [
//!       { "each": 3, "after_s": [0, 1] },
//!       { "each": 5, "after_s": [5, 20], "lives_s": [120, 600], "every_s": 300 }
//!     ]
//!   }],
//!   "from_s": 600,
//!   "until_s": 4200
//! }
//! ```
//!
//! `joins_s`, `after_s` and `lives_s` are ranges from which times are drawn; nodes join evenly. Each of the group's nodes gets
//! `each` pods so long `after_s` it has joined, again every `every_s`, if that is given. Without `lives_s` pods stay. Measuring
//! begins at `from_s` (0 if left out). Nodes go to the subnets in turn.

use std::time::Duration;

use ipnet::Ipv4Net;
use serde::Deserialize;

use crate::scenario::Scenario;
use crate::workloads::build::{Builder, FOREVER, Shape};

/// What somebody stated, without contradictions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// What to call it.
    name: String,
    subnets: Vec<StatedSubnet>,
    groups: Vec<Group>,
    #[serde(default)]
    from_s: f64,
    until_s: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedSubnet {
    cidr: Ipv4Net,
    #[serde(default)]
    others: u32,
    #[serde(default)]
    scattered: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    count: usize,
    r#type: String,
    enis: u32,
    addresses_per_eni: u32,
    vcpus: u32,
    #[serde(default = "yes")]
    prefixes: bool,
    joins_s: [f64; 2],
    pods: Vec<Pods>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pods {
    each: u32,
    after_s: [f64; 2],
    lives_s: Option<[f64; 2]>,
    every_s: Option<f64>,
}

fn yes() -> bool {
    true
}

/// Why a file states no workload.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no JSON of that form.
    #[error("{file}: {why}; docs/fleet.md has an example")]
    Form {
        /// Which.
        file: String,
        /// Where and what.
        why: serde_json::Error,
    },
    /// It cannot happen.
    #[error("{file}: {what}")]
    Impossible {
        /// Which.
        file: String,
        /// What.
        what: String,
    },
}

/// Reads the `text` of `file`.
///
/// # Errors
///
/// [`Error::Form`] for what is no JSON, lacks a field or has one too many; [`Error::Impossible`] for values without sense.
pub fn read(file: &str, text: &str) -> Result<Stated, Error> {
    let stated: Stated = serde_json::from_str(text).map_err(|why| Error::Form {
        file: file.to_owned(),
        why,
    })?;
    match stated.wrong() {
        Some(what) => Err(Error::Impossible {
            file: file.to_owned(),
            what,
        }),
        None => Ok(stated),
    }
}

/// Beyond it a time is a mistake: ten years.
const LONGEST_S: f64 = 10.0 * 365.0 * 86_400.0;
/// Beyond it nobody wants to wait.
const MOST_PODS: f64 = 5_000_000.0;

impl Stated {
    /// In a sentence.
    pub fn about(&self) -> String {
        let nodes: usize = self.groups.iter().map(|group| group.count).sum();
        let groups = self.groups.len();
        let plural = if groups == 1 { "" } else { "s" };
        format!("{nodes} nodes in {groups} group{plural}, as stated")
    }

    /// What happens, for `seed`.
    pub fn scenario(&self, seed: u64) -> Scenario {
        let mut builder = Builder::new(&self.name, seed);
        builder.ranges_in_subnets();
        for subnet in &self.subnets {
            builder.subnet(subnet.cidr, subnet.others, subnet.scattered);
        }
        let mut next = 0;
        for group in &self.groups {
            let mut shape = Shape::new(
                &group.r#type,
                group.enis,
                group.addresses_per_eni,
                group.vcpus,
            );
            shape.limits.prefixes = group.prefixes;
            for index in 0..group.count {
                let [first, last] = group.joins_s;
                let joins = first + (last - first) * index as f64 / group.count as f64;
                let node = builder.node(&shape, next % self.subnets.len(), seconds(joins));
                next += 1;
                for pods in &group.pods {
                    self.bind(&mut builder, node, joins, pods);
                }
            }
        }
        builder.build(seconds(self.from_s)..seconds(self.until_s))
    }

    fn bind(&self, builder: &mut Builder, node: usize, joins: f64, pods: &Pods) {
        let mut start = joins;
        while start < self.until_s {
            for _ in 0..pods.each {
                let [first, last] = pods.after_s;
                // Not before the node is there.
                let bound = builder.within(&(seconds(start + first)..seconds(start + last)));
                let bound = bound + Duration::from_millis(1);
                let lives = pods
                    .lives_s
                    .map(|[least, most]| seconds(least)..seconds(most));
                let lives = lives.map_or(FOREVER, |lives| builder.within(&lives));
                if bound < seconds(self.until_s) {
                    builder.pod(node, bound, lives);
                }
            }
            match pods.every_s {
                Some(every) => start += every,
                None => break,
            }
        }
    }

    /// The first thing that cannot be.
    fn wrong(&self) -> Option<String> {
        if self.name.is_empty()
            || !self
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            return Some(
                "`name` must be of letters, digits, `-`, `_` and `.`: files are called so"
                    .to_owned(),
            );
        }
        if self.subnets.is_empty() || self.groups.is_empty() {
            return Some("at least one subnet and one group are needed".to_owned());
        }
        if let Some(wrong) = range("`from_s` to `until_s`", [self.from_s, self.until_s]) {
            return Some(wrong);
        }
        if self.from_s >= self.until_s {
            return Some("`until_s` must be after `from_s`".to_owned());
        }
        let subnets = self.subnets.iter().enumerate();
        let subnets = subnets.filter_map(|(index, subnet)| subnet.wrong(index + 1));
        let groups = self.groups.iter().enumerate();
        let groups = groups.filter_map(|(index, group)| group.wrong(index + 1, self.until_s));
        subnets.chain(groups).next().or_else(|| self.too_many())
    }

    fn too_many(&self) -> Option<String> {
        let of_group = |group: &Group| {
            group
                .pods
                .iter()
                .map(|pods| pods.bound(self.until_s))
                .sum::<f64>()
                * group.count as f64
        };
        let pods: f64 = self.groups.iter().map(of_group).sum();
        (pods > MOST_PODS)
            .then(|| format!("{pods:.0} pods are more than can be run; {MOST_PODS} are the most"))
    }
}

impl StatedSubnet {
    /// EC2 has subnets of /16 to /28 (VPC user guide, "Subnet sizing").
    fn wrong(&self, nth: usize) -> Option<String> {
        let length = self.cidr.prefix_len();
        if !(16..=28).contains(&length) {
            return Some(format!(
                "subnet {nth}: /{length} is no size of a subnet; EC2 has /16 to /28"
            ));
        }
        let size = (1_u32 << (32 - length)) - 5;
        (self.others > size).then(|| {
            format!(
                "subnet {nth}: others cannot have {} of {size} addresses",
                self.others
            )
        })
    }
}

impl Group {
    fn wrong(&self, nth: usize, until: f64) -> Option<String> {
        if self.enis == 0 || self.addresses_per_eni < 2 {
            return Some(format!(
                "group {nth}: an instance has at least 1 ENI, and an ENI for pods 2 addresses"
            ));
        }
        let joins = range(&format!("group {nth}: `joins_s`"), self.joins_s);
        let late =
            (self.joins_s[1] > until).then(|| format!("group {nth}: nodes join after `until_s`"));
        let pods = self.pods.iter().find_map(|pods| pods.wrong(nth));
        joins.or(late).or(pods)
    }
}

impl Pods {
    fn wrong(&self, group: usize) -> Option<String> {
        let after = range(&format!("group {group}: `after_s`"), self.after_s);
        let lives = self
            .lives_s
            .and_then(|lives| range(&format!("group {group}: `lives_s`"), lives));
        let every = self
            .every_s
            .filter(|every| !(*every > 0.0 && every.is_finite()));
        let every =
            every.map(|every| format!("group {group}: `every_s` must be more than 0, not {every}"));
        after.or(lives).or(every)
    }

    /// At most, on a node.
    fn bound(&self, until: f64) -> f64 {
        f64::from(self.each) * self.every_s.map_or(1.0, |every| (until / every).ceil())
    }
}

fn range(what: &str, [first, last]: [f64; 2]) -> Option<String> {
    let sound = 0.0 <= first && first <= last && last <= LONGEST_S;
    (!sound).then(|| format!("{what}: {first} to {last} is no range of seconds from 0 on"))
}

/// So many seconds, which have been checked.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::build::since_start;

    fn example() -> String {
        let source = include_str!("stated.rs");
        let lines = source
            .lines()
            .skip_while(|line| *line != "//! ```json")
            .skip(1);
        let lines = lines.take_while(|line| *line != "//! ```");
        lines.map(|line| line.trim_start_matches("//!")).collect()
    }

    #[test]
    fn the_documented_example_is_read_and_happens() {
        let stated = read("shop.json", &example()).expect("the example");
        let scenario = stated.scenario(1);
        assert_eq!((scenario.nodes.len(), scenario.subnets.len()), (4, 1));
        assert_eq!(since_start(scenario.until), Duration::from_secs(4200));
        // DaemonSets once; the others at 0, 300, ... 3,900 s after each node's joining, and those of the last two at 4,200.
        let standing = scenario
            .pods
            .iter()
            .filter(|pod| pod.lives == FOREVER)
            .count();
        assert_eq!(standing, 12);
        assert!((4 * 14 * 5..=4 * 15 * 5).contains(&(scenario.pods.len() - standing)));
        assert!(
            scenario
                .pods
                .iter()
                .all(|pod| pod.bound > scenario.nodes[pod.node].joins)
        );
        assert_eq!(stated.about(), "4 nodes in 1 group, as stated");
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let cases = [
            ("\"count\": 4", "\"cuont\": 4", "unknown field `cuont`"),
            (
                "\"until_s\": 4200",
                "\"until_s\": 600",
                "must be after `from_s`",
            ),
            ("10.0.0.0/24", "10.0.0.0/30", "subnet 1: /30 is no size"),
            (
                "\"others\": 20",
                "\"others\": 300",
                "cannot have 300 of 251",
            ),
            ("[5, 20]", "[20, 5]", "group 1: `after_s`: 20 to 5"),
            ("\"every_s\": 300", "\"every_s\": 0", "must be more than 0"),
            (
                "\"every_s\": 300",
                "\"every_s\": 0.000001",
                "more than can be run",
            ),
            ("\"enis\": 3", "\"enis\": 0", "at least 1 ENI"),
            ("[0, 30]", "[0, 5000]", "join after `until_s`"),
            ("\"shop\"", "\"../shop\"", "files are called so"),
        ];
        for (was, is, said) in cases {
            let text = example().replace(was, is);
            assert_ne!(text, example(), "{was} is not in the example");
            let error = read("shop.json", &text).expect_err(is).to_string();
            assert!(
                error.starts_with("shop.json: ") && error.contains(said),
                "{error}"
            );
        }
    }
}
