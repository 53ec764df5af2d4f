//! What somebody asks to be planned, as it stands in flags and a file. Whether it is possible is `check`'s.

use std::time::Duration;

use ipnet::Ipv4Net;
use serde_json::{Map, Value};

use super::fields::Fields;
use super::problem::Problem;
use crate::trace::File;

/// Where a request comes from. The groups and subnets of flags are added to the file's; the other flags go before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// Name and text of a file.
    pub file: Option<(&'a str, &'a str)>,
    /// `--trace` and `--nodes`.
    pub trace: Option<(File<'a>, File<'a>)>,
    /// `--group`.
    pub groups: &'a [String],
    /// `--subnet`.
    pub subnets: &'a [String],
    /// `--policy`.
    pub policies: &'a [String],
    /// `--join-every`.
    pub join_every: Option<Duration>,
    /// `--settle`.
    pub settle: Option<Duration>,
    /// `--seed`.
    pub seed: Option<u64>,
    /// `--others-calls`.
    pub others_calls: Option<f64>,
}

/// The default of `join-every`: slow enough that a node is filled before the next one joins, and that EC2's buckets (5 calls
/// a second) are not what decides.
pub const JOIN_EVERY: Duration = Duration::from_secs(10);
/// The default of `settle`: what a pool holds half an hour after the last pod came, it holds from then on.
pub const SETTLE: Duration = Duration::from_secs(30 * 60);

/// A request, not checked yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) groups: Vec<Group>,
    pub(super) subnets: Vec<Subnet>,
    pub(super) policies: Vec<String>,
    pub(super) join_every: Duration,
    pub(super) settle: Duration,
    pub(super) seed: u64,
    pub(super) others_calls: f64,
    /// Whether a group or subnet was there that could not be read.
    pub(super) incomplete: bool,
}

/// Nodes of one kind.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) place: String,
    pub(super) name: Option<String>,
    pub(super) instance_type: String,
    pub(super) count: u32,
    pub(super) pods: u32,
    pub(super) daemonset: u32,
    pub(super) host_network: u32,
    pub(super) zones: Vec<String>,
    pub(super) subnets: Vec<String>,
    pub(super) max_pods: Option<u32>,
    pub(super) life: Option<Duration>,
    pub(super) enis: Option<u32>,
    pub(super) addresses_per_eni: Option<u32>,
    pub(super) prefixes: Option<bool>,
}

/// A subnet.
#[derive(Clone, Debug)]
pub(super) struct Subnet {
    pub(super) place: String,
    pub(super) name: Option<String>,
    pub(super) cidr: Ipv4Net,
    pub(super) zone: Option<String>,
    pub(super) used: u32,
    pub(super) scattered: bool,
}

/// Reads it; what cannot be read is among the problems.
pub(super) fn read(sources: Sources<'_>, problems: &mut Vec<Problem>) -> Request {
    let mut request = Request {
        join_every: JOIN_EVERY,
        settle: SETTLE,
        seed: 1,
        ..Request::default()
    };
    if let Some((name, text)) = sources.file {
        of_file(name, text, &mut request, problems);
    }
    for (index, text) in sources.groups.iter().enumerate() {
        let place = format!("--group {}", index + 1);
        let fields = Fields::of_flag(place, text, Some("type"), problems);
        request.add_group(group(fields));
    }
    for (index, text) in sources.subnets.iter().enumerate() {
        let place = format!("--subnet {}", index + 1);
        let fields = Fields::of_flag(place, text, Some("cidr"), problems);
        request.add_subnet(subnet(fields));
    }
    if !sources.policies.is_empty() {
        request.policies = sources.policies.to_vec();
    }
    request.join_every = sources.join_every.unwrap_or(request.join_every);
    request.settle = sources.settle.unwrap_or(request.settle);
    request.seed = sources.seed.unwrap_or(request.seed);
    request.others_calls = sources.others_calls.unwrap_or(request.others_calls);
    request
}

fn of_file(name: &str, text: &str, request: &mut Request, problems: &mut Vec<Problem>) {
    let object: Map<String, Value> = match serde_json::from_str(text) {
        Ok(object) => object,
        Err(error) => {
            request.incomplete = true;
            problems.push(Problem::NotJson {
                file: name.to_owned(),
                why: error.to_string(),
            });
            return;
        }
    };
    let mut fields = Fields::of_object(name.to_owned(), object, problems);
    let (groups, subnets) = (fields.objects("groups"), fields.objects("subnets"));
    request.policies = fields.texts("policies");
    request.join_every = fields.duration("join-every").unwrap_or(JOIN_EVERY);
    request.settle = fields.duration("settle").unwrap_or(SETTLE);
    request.seed = fields.number("seed").map_or(1, u64::from);
    request.others_calls = fields.share("others-calls").unwrap_or(0.0);
    fields.finish();
    for (index, object) in groups.into_iter().enumerate() {
        let place = format!("{name}: group {}", index + 1);
        request.add_group(group(Fields::of_object(place, object, problems)));
    }
    for (index, object) in subnets.into_iter().enumerate() {
        let place = format!("{name}: subnet {}", index + 1);
        request.add_subnet(subnet(Fields::of_object(place, object, problems)));
    }
}

impl Request {
    fn add_group(&mut self, group: Option<Group>) {
        self.incomplete |= group.is_none();
        self.groups.extend(group);
    }

    fn add_subnet(&mut self, subnet: Option<Subnet>) {
        self.incomplete |= subnet.is_none();
        self.subnets.extend(subnet);
    }
}

fn group(mut fields: Fields<'_>) -> Option<Group> {
    let place = fields.place().to_owned();
    let instance_type = fields.text("type");
    if instance_type.is_none() {
        fields.missing("type", "type=m5.large, say");
    }
    let count = fields.number("count");
    if count.is_none() {
        fields.missing("count", "the number of nodes, count=10, say");
    }
    let group = Group {
        place,
        name: fields.text("name"),
        instance_type: instance_type.clone().unwrap_or_default(),
        count: count.unwrap_or_default(),
        pods: fields.number("pods").unwrap_or(0),
        daemonset: fields.number("daemonset").unwrap_or(0),
        host_network: fields.number("host-network").unwrap_or(0),
        zones: fields.texts("zone"),
        subnets: fields.texts("subnet"),
        max_pods: fields.number("max-pods"),
        life: fields.duration("life"),
        enis: fields.number("enis"),
        addresses_per_eni: fields.number("addresses-per-eni"),
        prefixes: fields.truth("prefixes"),
    };
    fields.finish();
    (instance_type.is_some() && count.is_some()).then_some(group)
}

fn subnet(mut fields: Fields<'_>) -> Option<Subnet> {
    let place = fields.place().to_owned();
    let cidr = fields.parsed("cidr", "a subnet such as 10.0.0.0/20");
    if cidr.is_none() {
        fields.missing("cidr", "cidr=10.0.0.0/20, say");
    }
    let name = fields.text("name");
    let zone = fields.text("zone");
    let used = fields.number("used").unwrap_or(0);
    let scattered = fields.truth("scattered").unwrap_or(true);
    fields.finish();
    Some(Subnet {
        place,
        name,
        cidr: cidr?,
        zone,
        used,
        scattered,
    })
}
