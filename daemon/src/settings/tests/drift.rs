//! Code, `--help`, docs/configuration.md and aws-node's list of variables say the same, or one of these fails.

use std::collections::BTreeSet;

use clap::CommandFactory;

use super::read;
use crate::cli::Cli;
use crate::settings::{ignored, of_sdk, refused};

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// All variables of aws-node, its init container, its entry point and its metrics helper, at its release 1.23.1; a row
/// says what becomes of each. Its conflist keys are no variables.
const AWS_NODE: &[&str] = &[
    "ADDITIONAL_ENI_TAGS",
    "ANNOTATE_POD_IP",
    "AWS_CLUSTER_ID",
    "AWS_EC2_ENDPOINT",
    "AWS_EXTERNAL_SERVICE_CIDRS",
    "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
    "AWS_REGION",
    "AWS_VPC_CNI_NODE_PORT_SUPPORT",
    "AWS_VPC_ENI_MTU",
    "AWS_VPC_K8S_CNI_BACKING_STORE",
    "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER",
    "AWS_VPC_K8S_CNI_CONNMARK",
    "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
    "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
    "AWS_VPC_K8S_CNI_EXTERNALSNAT",
    "AWS_VPC_K8S_CNI_LOGLEVEL",
    "AWS_VPC_K8S_CNI_LOG_FILE",
    "AWS_VPC_K8S_CNI_RANDOMIZESNAT",
    "AWS_VPC_K8S_CNI_VETHPREFIX",
    "AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE",
    "AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE",
    "AWS_VPC_K8S_PLUGIN_LOG_FILE",
    "AWS_VPC_K8S_PLUGIN_LOG_LEVEL",
    "CLUSTER_ENDPOINT",
    "CLUSTER_NAME",
    "DISABLE_INTROSPECTION",
    "DISABLE_LEAKED_ENI_CLEANUP",
    "DISABLE_METRICS",
    "DISABLE_NETWORK_RESOURCE_PROVISIONING",
    "DISABLE_POD_V6",
    "DISABLE_TCP_EARLY_DEMUX",
    "ENABLE_BANDWIDTH_PLUGIN",
    "ENABLE_IMDS_ONLY_MODE",
    "ENABLE_IPv4",
    "ENABLE_IPv6",
    "ENABLE_MULTI_NIC",
    "ENABLE_NFTABLES",
    "ENABLE_POD_ENI",
    "ENABLE_PREFIX_DELEGATION",
    "ENABLE_SUBNET_DISCOVERY",
    "ENABLE_V4_EGRESS",
    "ENABLE_V6_EGRESS",
    "ENI_CONFIG_ANNOTATION_DEF",
    "ENI_CONFIG_LABEL_DEF",
    "HOST_CNI_BIN_PATH",
    "HOST_CNI_CONFDIR_PATH",
    "HTTP_TIMEOUT",
    "INTROSPECTION_BIND_ADDRESS",
    "IP_COOLDOWN_PERIOD",
    "MANAGE_UNTAGGED_ENI",
    "MAX_ENI",
    "METRIC_UPDATE_INTERVAL",
    "MINIMUM_IP_TARGET",
    "MY_NODE_NAME",
    "MY_POD_NAME",
    "NETWORK_POLICY_ENFORCING_MODE",
    "POD_MTU",
    "POD_SECURITY_GROUP_ENFORCING_MODE",
    "USE_CLOUDWATCH",
    "USE_PROMETHEUS",
    "VPC_CNI_VERSION",
    "WARM_ENI_TARGET",
    "WARM_IP_TARGET",
    "WARM_PREFIX_TARGET",
];

/// What code knows: variables with a value, those that stop the start, those without effect, those of the SDK.
fn in_code() -> BTreeSet<String> {
    let read: Vec<_> = read(&[]).unwrap().report();
    let effective = read.into_iter().map(|setting| setting.name);
    let others = refused().chain(ignored()).chain(of_sdk());
    effective.chain(others.map(str::to_owned)).collect()
}

/// What looks like a variable: mostly capitals, with an underscore; and the one that has none.
fn variables(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let is_variable = |word: &&str| {
        (word.contains('_') || *word == "KUBECONFIG")
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word
                .trim_end_matches("v4")
                .trim_end_matches("v6")
                .chars()
                .all(|c| !c.is_ascii_lowercase())
    };
    words.filter(is_variable).map(str::to_owned).collect()
}

/// The names in the first column of the page's tables.
fn in_tables() -> BTreeSet<String> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| variables(row.split(" | ").next().unwrap_or_default()))
        .collect()
}

fn assert_same(one: (&str, BTreeSet<String>), other: (&str, BTreeSet<String>)) {
    let only =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    let (left, right) = (only(&one.1, &other.1), only(&other.1, &one.1));
    assert!(
        left.is_empty() && right.is_empty(),
        "only {}: {left:?}; only {}: {right:?}",
        one.0,
        other.0
    );
}

#[test]
fn the_documentation_has_a_row_for_every_variable_and_for_no_other() {
    assert_same(
        ("the code", in_code()),
        ("docs/configuration.md", in_tables()),
    );
}

#[test]
fn the_help_has_every_variable_and_no_other() {
    // 0: not wrapped to the terminal of whoever runs the test.
    let help = Cli::command().term_width(0).render_long_help().to_string();
    assert_same(("the code", in_code()), ("the help", variables(&help)));
}

#[test]
fn every_variable_of_aws_node_is_known() {
    let known = in_code();
    let unknown: Vec<_> = AWS_NODE
        .iter()
        .filter(|name| !known.contains(**name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_documentation_has_the_defaults() {
    for setting in read(&[]).unwrap().report() {
        let row = format!("| `{}` |", setting.name);
        let line = PAGE.lines().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("{row}"));
        let told = setting.value.is_empty() || line.contains(&format!("| `{}` |", setting.value));
        // The instance type's limit says more in words.
        assert!(
            told || setting.name == "MAX_ENI",
            "{line}: {}",
            setting.value
        );
    }
}

#[test]
fn nothing_is_decided_twice() {
    let effective: BTreeSet<_> = read(&[])
        .unwrap()
        .report()
        .into_iter()
        .map(|s| s.name)
        .collect();
    for name in ignored() {
        assert!(
            !effective.contains(name),
            "{name} has a value and is said to have no effect"
        );
    }
}
