//! Everything that is wrong is told at once, each with what to do.

use super::{of_file, understood};

const GROUP: &str = "m5.large,count=1,pods=1";
const SUBNET: &str = "10.0.0.0/20";

/// What `groups` and `subnets` are refused with, a line each.
fn refused(groups: &[&str], subnets: &[&str]) -> Vec<String> {
    let problems = understood(groups, subnets, &[]).expect_err("a mistake");
    problems.0.iter().map(ToString::to_string).collect()
}

/// A group, and what is said of it.
const GROUPS: &[(&str, &str)] = &[
    (
        "type=m6a.32xlarg,count=1",
        "there is no instance type `m6a.32xlarg` that berth knows (did you mean m6a.32xlarge",
    ),
    (
        "type=zebra,count=1",
        "there is no instance type `zebra` that berth knows; for one that is newer add enis=N,",
    ),
    (
        "m5.large",
        "`count` is missing: add the number of nodes, count=10",
    ),
    ("count=3", "`type` is missing: add type=m5.large"),
    ("m5.large,count=many", "count=many is not a whole number"),
    ("m5.large,count=-1", "count=-1 is not a whole number"),
    ("m5.large,count=1.5", "count=1.5 is not a whole number"),
    (
        "m5.large,count=0",
        "count=0 is no node: leave the group out",
    ),
    (
        "m5.large,count=1,count=2",
        "`count` is there more than once",
    ),
    (
        "m5.large,count=1,cuont=2",
        "there is no `cuont` (did you mean count?); there is type, count",
    ),
    ("m5.large,count=1,pods", "`pods` is not name=value"),
    ("m5.large,count=1,pods=", "`pods=` is not name=value"),
    ("m5.large,count=1,", "`` is not name=value"),
    (
        "m5.large,count=1,life=soon",
        "life=soon is not a duration such as 30s, 5m or 1h",
    ),
    (
        "m5.large,count=1,prefixes=perhaps",
        "prefixes=perhaps is not true or false",
    ),
    // 110 is EKS's for small types.
    (
        "m5.large,count=1,pods=100,daemonset=6,host-network=5",
        "111 pods a node (100 pods, 6 of DaemonSets, 5 on the host network) are more than kubelet takes on m5.large: max-pods is 110 (what EKS recommends)",
    ),
    (
        "m5.large,count=1,pods=30,max-pods=29",
        "max-pods is 29 (as given)",
    ),
    (
        "m5.large,count=1,pods=433,max-pods=1000",
        "433 pods with an address are more than m5.large has for pods, which is 432, whatever the policy",
    ),
    (
        "m3.2xlarge,count=1,pods=117,max-pods=1000",
        "more than m3.2xlarge has for pods, which is 116",
    ),
    (
        "m5.large,count=1,pods=4294967295,daemonset=4294967295",
        "are more than m5.large has",
    ),
    (
        "m5.large,count=1,zone=us-east-1a",
        "no subnet is in zone us-east-1a (no subnet has a zone): add a --subnet CIDR,zone=us-east-1a",
    ),
    (
        "m5.large,count=1,subnet=b",
        "there is no subnet b: there is 10.0.0.0/20",
    ),
    (
        "new.large,count=1,enis=3",
        "enis and addresses-per-eni belong together",
    ),
    (
        "new.large,count=1,enis=0,addresses-per-eni=10",
        "enis=0 is no limit of an instance type: it is 1 to 64",
    ),
    (
        "new.large,count=1,enis=65,addresses-per-eni=10",
        "enis=65 is no limit",
    ),
    (
        "new.large,count=1,enis=3,addresses-per-eni=1",
        "addresses-per-eni=1 is no limit",
    ),
    (
        "m5.large,count=5001",
        "5002 nodes are too many to simulate, the most is 5000",
    ),
    (
        "m5.large,count=100,pods=100,life=1s",
        "pods are too many to simulate",
    ),
];

#[test]
fn groups_that_cannot_be() {
    for (group, told) in GROUPS {
        let lines = refused(&[GROUP, group], &[SUBNET]);
        assert_eq!(lines.len(), 1, "{group}: {lines:?}");
        assert!(lines[0].contains(told), "{group}: {}", lines[0]);
        assert!(!lines[0].contains("--group 1"), "{group}: {}", lines[0]);
    }
}

#[test]
fn subnets_that_cannot_be() {
    for (subnet, told) in [
        (
            "10.1.0.0/15",
            "--subnet 2: 10.1.0.0/15 is no subnet of AWS, which are /16 to /28",
        ),
        ("10.1.0.0/29", "10.1.0.0/29 is no subnet of AWS"),
        ("0.0.0.0/0", "0.0.0.0/0 is no subnet of AWS"),
        (
            "10.1.0.5/24",
            "10.1.0.5/24 is an address in a subnet, not a subnet: write 10.1.0.0/24",
        ),
        (
            "10.1.0.0/28,used=12",
            "others cannot have 12 addresses of 10.1.0.0/28: it has 11, AWS's five left out",
        ),
        (
            "10.0.4.0/24",
            "10.0.4.0/24 overlaps 10.0.0.0/20, which a VPC does not permit",
        ),
        ("10.0.0.0/20", "overlaps 10.0.0.0/20"),
        (
            "10.1.0.0/24,name=10.0.0.0/20",
            "the name 10.0.0.0/20 is taken already: give another with name=",
        ),
        (
            "fd00::/64",
            "cidr=fd00::/64 is not a subnet such as 10.0.0.0/20",
        ),
        ("10.1.0.0", "cidr=10.1.0.0 is not a subnet"),
        ("zone=a", "`cidr` is missing"),
        (
            "10.1.0.0/24,usde=3",
            "there is no `usde` (did you mean used?)",
        ),
        ("10.1.0.0/24,used=x", "used=x is not a whole number"),
        ("", "`` is not name=value"),
    ] {
        let lines = refused(&[GROUP], &[SUBNET, subnet]);
        assert!(lines[0].contains(told), "{subnet}: {lines:?}");
        assert!(
            lines.iter().all(|line| line.contains("--subnet 2")),
            "{subnet}: {lines:?}"
        );
    }
    let room = understood(&[GROUP], &["10.1.0.0/28,used=11", "10.2.0.0/16"], &[]);
    assert!(room.is_ok(), "{room:?}");
}

#[test]
fn nothing_is_no_plan() {
    let lines = refused(&[], &[]);
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains("--group type=m5.large,count=10,pods=20"),
        "{lines:?}"
    );
    assert!(lines[1].contains("--subnet 10.0.0.0/20"), "{lines:?}");
}

#[test]
fn policies_are_named() {
    let problems =
        understood(&[GROUP], &[SUBNET], &["aws-defualt", "berth"]).expect_err("a mistake");
    let told = problems.to_string();
    assert!(
        told.contains("no such policy (did you mean aws-default"),
        "{told}"
    );
    assert!(told.contains("there is berth, aws-default, "), "{told}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let problems = understood(
        &["m5.larg,count=0", "count=3,pods=x,zone=z"],
        &[
            "10.0.0.0/8",
            "10.1.0.0/24,used=300",
            "10.2.0.0/24",
            "10.2.0.0/25",
            "nonsense",
        ],
        &["none"],
    )
    .expect_err("mistakes");
    let told = problems.to_string();
    assert!(
        told.starts_with(&format!("the plan has {} mistakes:\n  ", problems.0.len())),
        "{told}"
    );
    for each in [
        "--group 1: there is no instance type `m5.larg`",
        "--group 2: `type` is missing",
        "--group 2: pods=x is not",
        "--subnet 1: 10.0.0.0/8 is no subnet",
        "--subnet 4: 10.2.0.0/25 overlaps 10.2.0.0/24",
        "--subnet 2: others cannot have 300",
        "--subnet 5: cidr=nonsense is not",
        "--policy none: there is no such policy",
    ] {
        assert!(told.contains(each), "{each} is missing in\n{told}");
    }
    // A subnet is there that could not be read: that a zone has none would be a guess.
    assert!(!told.contains("zone z"), "{told}");
}

#[test]
fn files_that_are_no_plan() {
    let good = r#"{"cidr": "10.0.0.0/20"}"#;
    for (text, told) in [
        (
            "",
            "plan.json is not JSON: EOF while parsing a value at line 1 column 0",
        ),
        (
            "[]",
            "plan.json is not JSON: invalid type: sequence, expected a map",
        ),
        ("{\"groups\": [\n{]}", "at line 2 column 2"),
        (
            &format!(r#"{{"groups": {{"type": "m5.large"}}, "subnets": [{good}]}}"#),
            "plan.json: group 1: `count` is missing",
        ),
        (
            &format!(r#"{{"groups": ["m5.large"], "subnets": [{good}]}}"#),
            "plan.json: groups=m5.large is not a list of objects",
        ),
        (
            &format!(r#"{{"group": [], "subnets": [{good}]}}"#),
            "plan.json: there is no `group` (did you mean groups?)",
        ),
        (
            r#"{"groups": [{"type": "m5.large", "count": 1}], "subnets": [{"cidr": 10}]}"#,
            "subnet 1: cidr=10 is not a subnet",
        ),
        (
            &format!(
                r#"{{"groups": [{{"type": "m5.large", "count": "2", "pods": -1}}], "subnets": [{good}]}}"#
            ),
            "plan.json: group 1: pods=-1 is not a whole number",
        ),
        (
            &format!(
                r#"{{"groups": [{{"type": "m5.large", "count": 2}}], "subnets": [{good}], "others-calls": 1}}"#
            ),
            "others-calls=1 is no share of the account's calls",
        ),
        (
            &format!(
                r#"{{"groups": [{{"type": "m5.large", "count": 2}}], "subnets": [{good}], "settle": "60d"}}"#
            ),
            "settle=60d is too long",
        ),
    ] {
        let problems = of_file(text).expect_err("a mistake");
        assert!(problems.to_string().contains(told), "{text}: {problems}");
    }
}
