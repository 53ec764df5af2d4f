//! aws-node's variables that berth does not follow: those that must not be ignored stop the start, the others are worth
//! a warning when they ask for something else than what berth does anyway.

use super::errors::SettingError;
use super::reader::Reader;
use super::values::boolean;

/// Switches that change where pods live or what protects them, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    (
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
        "pods would get addresses of the node's subnet instead of their ENIConfig's; keep aws-node on these nodes",
    ),
    (
        "ENABLE_IPv6",
        "berth gives IPv4 addresses only; keep aws-node in IPv6 clusters",
    ),
    (
        "ENABLE_POD_ENI",
        "pods would lose their own security groups; keep aws-node on nodes with SecurityGroupPolicies",
    ),
    (
        "ENABLE_MULTI_NIC",
        "berth uses network card 0 only; unset it if pods need one interface",
    ),
    (
        "DISABLE_NETWORK_RESOURCE_PROVISIONING",
        "berth assigns addresses itself; unset it, or keep what provisions this node",
    ),
    (
        "ENABLE_IMDS_ONLY_MODE",
        "berth assigns addresses itself and asks EC2; unset it, or keep what provisions this node",
    ),
];

/// What must not be switched off, since nothing else is there.
const IPV4: &str = "ENABLE_IPv4";

/// The network policy agent's mode. Its value is not a switch.
const POLICY: &str = "NETWORK_POLICY_ENFORCING_MODE";

/// What is said of a variable that has no effect.
const OWN_LOG: &str = "berth logs JSON on stdout, see BERTH_LOG";
const NOT_YET: &str = "berth does not do this yet";
const NO_EGRESS: &str = "berth has no egress plugin";
const METRICS_HELPER: &str = "it is cni-metrics-helper's";

/// Variable, values that ask for nothing else than what berth does, and why another one has no effect.
const IGNORED: &[(&str, &[&str], &str)] = &[
    (
        "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
        &["true"],
        "berth serves pods on cordoned nodes too",
    ),
    (
        "ENABLE_SUBNET_DISCOVERY",
        &["false"],
        "new ENIs are made in the primary ENI's subnet",
    ),
    (
        "ENI_CONFIG_ANNOTATION_DEF",
        &["k8s.amazonaws.com/eniConfig"],
        NOT_YET,
    ),
    (
        "ENI_CONFIG_LABEL_DEF",
        &["k8s.amazonaws.com/eniConfig"],
        NOT_YET,
    ),
    ("POD_SECURITY_GROUP_ENFORCING_MODE", &["strict"], NOT_YET),
    ("ANNOTATE_POD_IP", &["false"], NOT_YET),
    ("ENABLE_V6_EGRESS", &["false"], NOT_YET),
    (
        "ENABLE_V4_EGRESS",
        &["true", "false"],
        "it matters in IPv6 clusters only",
    ),
    (
        "DISABLE_TCP_EARLY_DEMUX",
        &["false"],
        "it matters for pods with security groups only",
    ),
    (
        "AWS_EC2_ENDPOINT",
        &[],
        "use the SDK's own AWS_ENDPOINT_URL_EC2",
    ),
    ("AWS_VPC_K8S_CNI_LOGLEVEL", &[], OWN_LOG),
    ("AWS_VPC_K8S_CNI_LOG_FILE", &[], OWN_LOG),
    (
        "AWS_VPC_K8S_PLUGIN_LOG_LEVEL",
        &[],
        "berth-cni reports in its result and keeps no log",
    ),
    (
        "AWS_VPC_K8S_PLUGIN_LOG_FILE",
        &[],
        "berth-cni reports in its result and keeps no log",
    ),
    ("AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE", &[], NO_EGRESS),
    ("AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE", &[], NO_EGRESS),
    ("USE_CLOUDWATCH", &[], METRICS_HELPER),
    ("USE_PROMETHEUS", &[], METRICS_HELPER),
    ("METRIC_UPDATE_INTERVAL", &[], METRICS_HELPER),
    ("AWS_CLUSTER_ID", &[], METRICS_HELPER),
];

/// In every manifest of aws-node, or without effect there too: nobody who sets them expects anything.
const QUIET: &[&str] = &[
    "MY_POD_NAME",
    "VPC_CNI_VERSION",
    "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER",
    "ENABLE_NFTABLES",
];

/// The variables with a value that stops the start.
pub(crate) fn refused() -> impl Iterator<Item = &'static str> {
    let switches = REFUSED.iter().map(|(name, _)| *name);
    switches.chain([IPV4, POLICY])
}

/// The variables without effect.
pub(crate) fn ignored() -> impl Iterator<Item = &'static str> {
    let warned = IGNORED.iter().map(|(name, ..)| *name);
    warned.chain(QUIET.iter().copied())
}

pub(super) fn read(reader: &mut Reader<'_>) {
    for (name, remedy) in REFUSED {
        refuse_switch(reader, name, remedy);
    }
    ipv4(reader);
    policy(reader);
    for (name, silent, why) in IGNORED {
        let Some(value) = reader.text(name) else {
            continue;
        };
        if !silent.iter().any(|same| same.eq_ignore_ascii_case(&value)) {
            reader.warn(format!("{name}={value} has no effect: {why}"));
            reader.without_effect(name, value);
        }
    }
}

fn refuse_switch(reader: &mut Reader<'_>, name: &'static str, remedy: &'static str) {
    let Some(value) = reader.text(name) else {
        return;
    };
    match boolean(&value) {
        Ok(false) => {}
        Ok(true) => reader.error(SettingError::Unsupported {
            name,
            value,
            remedy,
        }),
        Err(why) => reader.error(SettingError::Invalid { name, value, why }),
    }
}

fn ipv4(reader: &mut Reader<'_>) {
    let Some(value) = reader.text(IPV4) else {
        return;
    };
    match boolean(&value) {
        Ok(true) => {}
        Ok(false) => reader.error(SettingError::Unsupported {
            name: IPV4,
            value,
            remedy: "berth gives IPv4 addresses only; unset it, or keep aws-node in IPv6 clusters",
        }),
        Err(why) => reader.error(SettingError::Invalid {
            name: IPV4,
            value,
            why,
        }),
    }
}

fn policy(reader: &mut Reader<'_>) {
    let Some(value) = reader.text(POLICY) else {
        return;
    };
    match value.as_str() {
        "none" => {}
        "standard" => {
            reader.warn(format!(
                "{POLICY}=standard has no effect: berth does not call the network policy agent; use another policy engine where NetworkPolicies must hold"
            ));
            reader.without_effect(POLICY, value);
        }
        "strict" => reader.error(SettingError::Unsupported {
            name: POLICY,
            value,
            remedy: "pods would start without the policies that strict mode promises; keep aws-node, or set it to none and use another policy engine",
        }),
        _ => reader.error(SettingError::Invalid {
            name: POLICY,
            value,
            why: "must be none, standard or strict".to_owned(),
        }),
    }
}
