//! Inputs that are understood, inputs that are refused with a remedy, and the plans of the two known incidents.

use std::time::Duration;

use ipam::Limits;

use super::*;

mod document;
mod drawing;
mod incidents;
mod mistakes;
mod trace;

/// A few types as DescribeInstanceTypes has them.
fn catalogue() -> Catalogue {
    let of = |(name, enis, per_eni, prefixes, vcpus): (&str, u32, u32, bool, u32)| {
        let limits = Limits {
            enis,
            slots_per_eni: per_eni - 1,
            prefixes,
        };
        let vcpus = Some(vcpus);
        (name.to_owned(), InstanceType { limits, vcpus })
    };
    let types = [
        ("c5.large", 3, 10, true, 2),
        ("m3.2xlarge", 4, 30, false, 8),
        ("m5.24xlarge", 15, 50, true, 96),
        ("m5.large", 3, 10, true, 2),
        ("m6a.32xlarge", 15, 50, true, 128),
        ("t3.medium", 3, 6, true, 2),
    ];
    types.into_iter().map(of).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Reads flags as the command line has them.
fn understood(groups: &[&str], subnets: &[&str], policies: &[&str]) -> Result<Cluster, Problems> {
    let (groups, subnets, policies) = (owned(groups), owned(subnets), owned(policies));
    let sources = Sources {
        groups: &groups,
        subnets: &subnets,
        policies: &policies,
        ..Sources::default()
    };
    understand(sources, &catalogue())
}

fn of_file(text: &str) -> Result<Cluster, Problems> {
    let sources = Sources {
        file: Some(("plan.json", text)),
        ..Sources::default()
    };
    understand(sources, &catalogue())
}

fn planned(cluster: &Cluster) -> Answer {
    plan(cluster, &|_, _| {}).unwrap()
}

#[test]
fn flags_and_file_say_the_same() {
    let flags = understood(
        &[
            "type=m6a.32xlarge,count=500,pods=1,daemonset=2,host-network=3,zone=us-west-2a,life=10m",
            "m5.large,count=2,pods=20,max-pods=40,name=web,subnet=b",
        ],
        &[
            "10.0.0.0/20,zone=us-west-2a,used=120",
            "cidr=10.0.16.0/24,name=b,scattered=false",
        ],
        &["berth", "aws-default", "berth"],
    );
    let file = of_file(
        r#"{"groups": [
            {"type": "m6a.32xlarge", "count": 500, "pods": 1, "daemonset": 2, "host-network": 3,
             "zone": ["us-west-2a"], "life": "10m"},
            {"type": "m5.large", "count": 2, "pods": 20, "max-pods": 40, "name": "web", "subnet": "b"}],
          "subnets": [{"cidr": "10.0.0.0/20", "zone": "us-west-2a", "used": 120},
                      {"cidr": "10.0.16.0/24", "name": "b", "scattered": false}],
          "policies": ["berth", "aws-default"]}"#,
    );
    let (flags, file) = (flags.unwrap(), file.unwrap());
    assert_eq!(format!("{flags:?}"), format!("{file:?}"));
    let [huge, web] = flags.groups.as_slice() else {
        panic!("{flags:?}")
    };
    assert_eq!(
        (huge.count, huge.pods, huge.daemonset, huge.host_network),
        (500, 1, 2, 3)
    );
    assert_eq!(
        (huge.max_pods, huge.life),
        (250, Some(Duration::from_secs(600)))
    );
    assert_eq!(
        (huge.subnets.as_slice(), web.subnets.as_slice()),
        (&[0][..], &[1][..])
    );
    assert_eq!((web.name.as_str(), web.max_pods), ("web", 40));
    assert_eq!(
        (huge.name.as_str(), flags.subnets[0].name.as_str()),
        ("m6a.32xlarge (1)", "10.0.0.0/20")
    );
    assert_eq!(
        (flags.join_every, flags.settle, flags.seed),
        (JOIN_EVERY, SETTLE, 1)
    );
    assert_eq!(flags.policies, [Policy::Berth, Policy::AWS_DEFAULT]);
}

#[test]
fn flags_are_added_to_a_file_and_go_before_it() {
    let text = r#"{"groups": [{"type": "m5.large", "count": 1}], "policies": "berth", "seed": 7,
                   "subnets": [{"cidr": "10.0.0.0/24"}], "settle": "1h", "join-every": "2s",
                   "others-calls": 0.5}"#;
    let (groups, policies) = (owned(&["t3.medium,count=2"]), owned(&["cilium8"]));
    let sources = Sources {
        file: Some(("plan.json", text)),
        groups: &groups,
        policies: &policies,
        settle: Some(Duration::from_secs(60)),
        ..Sources::default()
    };
    let cluster = understand(sources, &catalogue()).unwrap();
    let types: Vec<_> = cluster
        .groups
        .iter()
        .map(|group| group.instance_type.as_str())
        .collect();
    assert_eq!(types, ["m5.large", "t3.medium"]);
    assert_eq!(
        (cluster.policies.as_slice(), cluster.seed),
        (&[Policy::Cilium8][..], 7)
    );
    assert_eq!(
        (cluster.settle.as_secs(), cluster.join_every.as_secs()),
        (60, 2)
    );
    assert!((cluster.others_calls - 0.5).abs() < 1e-9);
}

#[test]
fn nodes_take_turns_in_zones_first() {
    let subnets = [
        "10.0.0.0/24,zone=a",
        "10.0.1.0/24,zone=b",
        "10.0.2.0/24,zone=b",
        "10.0.3.0/24,zone=c",
    ];
    let places = |group: &str| {
        let cluster = understood(&[group], &subnets, &[]).unwrap();
        let group = cluster.groups.into_iter().next().unwrap();
        group.places().collect::<Vec<_>>()
    };
    assert_eq!(places("m5.large,count=7"), [0, 1, 3, 0, 2, 3, 0]);
    assert_eq!(places("m5.large,count=4,zone=b"), [1, 2, 1, 2]);
    assert_eq!(
        places("m5.large,count=3,zone=a,subnet=10.0.3.0/24"),
        [0, 3, 0]
    );
}

#[test]
fn a_type_that_is_newer_than_the_table_can_be_described() {
    let group = "type=m9z.large,count=1,enis=3,addresses-per-eni=10,prefixes=false,pods=27";
    let cluster = understood(&[group], &["10.0.0.0/24"], &[]).unwrap();
    let kind = cluster.groups[0].kind;
    assert_eq!(
        (
            kind.limits.enis,
            kind.limits.slots_per_eni,
            kind.limits.prefixes
        ),
        (3, 9, false)
    );
    assert_eq!((cluster.groups[0].max_pods, kind.vcpus), (29, None));
}
