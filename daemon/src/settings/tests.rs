//! Settings from a map: defaults, values, mistakes, refusals and warnings.
#![allow(clippy::unwrap_used, clippy::panic)]

mod drift;
mod ec2;

use std::collections::HashMap;
use std::os::unix::ffi::OsStringExt;

use ipam::Layout;
use ipam::desired::{MarkMask, PrimaryMark, Randomize};
use ipam::policy::WarmTargets;

use super::*;
use crate::conflist::{Chain, CniVersion};

fn read(variables: &[(&'static str, &str)]) -> Result<Settings, SettingsErrors> {
    let source: HashMap<_, _> = variables.iter().copied().collect();
    Settings::read(&source)
}

fn value(settings: &Settings, name: &str) -> (String, String) {
    let report = settings.report();
    let found = report.iter().find(|setting| setting.name == name).unwrap();
    (found.value.clone(), found.source.clone())
}

/// The one error of one variable, as a line.
fn refusal(name: &'static str, text: &str) -> String {
    let Err(errors) = read(&[(name, text)]) else {
        panic!("{name}={text} is taken");
    };
    assert_eq!(errors.0.len(), 1, "{errors}");
    assert!(errors.to_string().contains(name), "{errors}");
    errors.0[0].to_string()
}

#[test]
fn without_variables_all_is_default() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.pool, PoolSettings::default());
    assert_eq!(settings.network, NetworkSettings::default());
    assert_eq!(settings.socket, PathBuf::from("/run/berth/berthd.sock"));
    assert_eq!(settings.tombstones, PathBuf::from("/run/berth/tombstones"));
    assert_eq!(
        settings.checkpoint,
        PathBuf::from("/var/run/aws-node/ipam.json")
    );
    assert_eq!(settings.proc_root, PathBuf::from("/proc"));
    assert_eq!(settings.add_wait, Duration::from_secs(20));
    assert_eq!(
        (settings.cluster_name.as_deref(), &*settings.log),
        (None, "info")
    );
    assert!(settings.additional_eni_tags.is_empty() && settings.warnings.is_empty());
    assert_eq!(
        settings.conflist.chain,
        Chain::default(),
        "default paths are not written"
    );
    assert_eq!(
        (settings.conflist.write, settings.conflist.path()),
        (true, "/host/etc/cni/net.d/05-berth.conflist".into())
    );
    assert!(
        settings
            .report()
            .iter()
            .all(|setting| setting.source == "default")
    );
}

#[test]
fn every_value_reaches_its_field() {
    let settings = read(&[
        ("IP_COOLDOWN_PERIOD", "0"),
        ("MAX_ENI", "3"),
        ("AWS_VPC_ENI_MTU", "1500"),
        ("AWS_VPC_K8S_CNI_VETHPREFIX", "cali"),
        ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "True"),
        (
            "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
            "10.1.2.3/8, 192.168.0.0/16,",
        ),
        ("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "none"),
        ("BERTH_MARK_MASK", "0x1e"),
        ("BERTH_SOCKET", "/a/sock"),
        ("BERTH_TOMBSTONES", "/a/tombs"),
        ("AWS_VPC_K8S_CNI_BACKING_STORE", "/a/ipam.json"),
        ("BERTH_PROC_ROOT", "/host/proc"),
        ("BERTH_ADD_WAIT_SECONDS", "24"),
        ("CLUSTER_NAME", "prod"),
        ("ADDITIONAL_ENI_TAGS", r#"{"team":"net"}"#),
        ("BERTH_LOG", "warn,berthd=debug"),
    ])
    .unwrap();
    assert_eq!(settings.pool.cooldown, Duration::ZERO);
    assert_eq!(settings.pool.max_eni, Some(3));
    let network = &settings.network;
    assert_eq!(
        (network.eni_mtu, network.pod_mtu),
        (1500, 1500),
        "POD_MTU follows"
    );
    assert_eq!(
        (&*network.veth_prefix, network.external_snat),
        ("cali", true)
    );
    let excluded: Vec<_> = network
        .exclude_snat
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(excluded, ["10.0.0.0/8", "192.168.0.0/16"]);
    assert_eq!(network.randomize, Randomize::No);
    let mask = MarkMask::new(0x1e, PrimaryMark::DEFAULT);
    assert_eq!(Ok(network.mask), mask);
    assert_eq!(settings.socket, PathBuf::from("/a/sock"));
    assert_eq!(settings.tombstones, PathBuf::from("/a/tombs"));
    assert_eq!(settings.checkpoint, PathBuf::from("/a/ipam.json"));
    assert_eq!(settings.proc_root, PathBuf::from("/host/proc"));
    assert_eq!(settings.add_wait, Duration::from_secs(24));
    assert_eq!(settings.cluster_name.as_deref(), Some("prod"));
    assert_eq!(settings.additional_eni_tags["team"], "net");
    assert_eq!(settings.log, "warn,berthd=debug");
    assert_eq!(
        value(&settings, "MAX_ENI"),
        ("3".into(), "environment".into())
    );
    assert_eq!(
        value(&settings, "POD_MTU"),
        ("1500".into(), "default".into())
    );
    assert_eq!(value(&settings, "BERTH_MARK_MASK").0, "0x1e");
}

#[test]
fn every_value_reaches_the_conflist() {
    let settings = read(&[
        ("BERTH_SOCKET", "/a/sock"),
        ("BERTH_TOMBSTONES", "/a/tombs"),
        ("HOST_CNI_CONFDIR_PATH", "/a/net.d"),
        ("HOST_CNI_BIN_PATH", "/a/bin"),
        ("BERTH_WRITE_CONFLIST", "false"),
        ("BERTH_CNI_VERSION", "1.1.0"),
        ("BERTH_PORTMAP", "false"),
        ("ENABLE_BANDWIDTH_PLUGIN", "true"),
        ("DISABLE_POD_V6", "true"),
    ])
    .unwrap();
    let chain = Chain {
        version: CniVersion::V1_1_0,
        portmap: false,
        bandwidth: true,
        disable_pod_v6: true,
        socket: Some("/a/sock".into()),
        tombstones: Some("/a/tombs".into()),
    };
    let conflist = ConflistSettings {
        write: false,
        conf_dir: "/a/net.d".into(),
        bin_dir: "/a/bin".into(),
        chain,
    };
    assert_eq!(settings.conflist, conflist);
}

#[test]
fn prefixes_and_warm_targets_are_aws_nodes() {
    let settings = read(&[
        ("ENABLE_PREFIX_DELEGATION", "true"),
        ("WARM_IP_TARGET", "5"),
        ("MINIMUM_IP_TARGET", "10"),
        ("WARM_ENI_TARGET", "0"),
        ("WARM_PREFIX_TARGET", "1"),
    ])
    .unwrap();
    assert_eq!(settings.pool.layout, Layout::Prefixes);
    let targets = WarmTargets {
        addresses: Some(5),
        minimum: Some(10),
        enis: Some(0),
        prefixes: Some(1),
    };
    assert_eq!(settings.pool.targets, targets);
}

#[test]
fn an_empty_value_is_an_unset_one() {
    let settings = read(&[("MAX_ENI", ""), ("BERTH_LOG", " "), ("ENABLE_IPv6", "")]).unwrap();
    assert_eq!((settings.pool.max_eni, &*settings.log), (None, "info"));
}

#[test]
fn no_limit_of_enis_has_aws_nodes_spellings() {
    for text in ["0", "-1"] {
        assert_eq!(read(&[("MAX_ENI", text)]).unwrap().pool.max_eni, None);
    }
}

#[test]
fn values_that_cannot_be_are_refused_with_what_can() {
    let long = format!("/{}", "s".repeat(103));
    for (name, text, allowed) in [
        ("IP_COOLDOWN_PERIOD", "-1", "seconds"),
        ("IP_COOLDOWN_PERIOD", "30s", "seconds"),
        ("MAX_ENI", "many", "ENIs"),
        ("ENABLE_PREFIX_DELEGATION", "nitro", "true or false"),
        ("WARM_IP_TARGET", "-1", "from 0 to 65536"),
        ("WARM_ENI_TARGET", "two", "from 0 to 65536"),
        ("MAX_ENI", "99999999999", "ENIs"),
        ("AWS_VPC_ENI_MTU", "575", "from 576 to 9001"),
        ("POD_MTU", "9002", "from 576 to 9001"),
        ("BERTH_CNI_VERSION", "0.4.0", "1.0.0"),
        ("HOST_CNI_BIN_PATH", "bin", "absolute"),
        ("AWS_VPC_K8S_CNI_VETHPREFIX", "vlan", "not eth"),
        ("AWS_VPC_K8S_CNI_VETHPREFIX", "gone", "not eth"),
        ("AWS_VPC_K8S_CNI_VETHPREFIX", "a/b", "letters"),
        ("AWS_VPC_K8S_CNI_VETHPREFIX", "fünf", "letters"),
        ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "yes", "true or false"),
        (
            "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
            "10.0.0.0/8,10.0.0.1",
            "\"10.0.0.1\"",
        ),
        (
            "AWS_VPC_K8S_CNI_RANDOMIZESNAT",
            "random",
            "prng, hashrandom or none",
        ),
        ("BERTH_MARK_MASK", "126", "0x7e"),
        ("BERTH_MARK_MASK", "0x+7", "0x7e"),
        ("BERTH_MARK_MASK", "0x4000", "kube-proxy"),
        ("BERTH_SOCKET", "berthd.sock", "absolute"),
        ("BERTH_SOCKET", &long, "103 bytes"),
        ("BERTH_ADD_WAIT_SECONDS", "25", "from 1 to 24"),
        ("ADDITIONAL_ENI_TAGS", "team=net", "JSON"),
        ("ADDITIONAL_ENI_TAGS", r#"{"aws:x":"y"}"#, "aws:"),
        ("BERTH_LOG", "berthd=loud", "filter"),
        ("BERTH_METRICS_BIND_ADDRESS", "61678", ":PORT"),
        ("INTROSPECTION_BIND_ADDRESS", ":61679", "ADDRESS:PORT"),
        ("NETWORK_POLICY_ENFORCING_MODE", "lax", "standard"),
        ("ENABLE_IPv6", "perhaps", "true or false"),
    ] {
        let line = refusal(name, text);
        assert!(line.contains(allowed), "{line}");
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let errors = read(&[
        ("MAX_ENI", "x"),
        ("POD_MTU", "x"),
        ("BERTH_PROC_ROOT", "x"),
        ("ENABLE_POD_ENI", "true"),
    ])
    .unwrap_err();
    assert_eq!(errors.0.len(), 4);
    assert_eq!(errors.to_string().lines().count(), 5);
}

#[test]
fn a_value_that_is_not_text_is_a_mistake() {
    let bytes = std::ffi::OsString::from_vec(vec![0xff]);
    let errors = Settings::read(&HashMap::from([("CLUSTER_NAME", bytes)])).unwrap_err();
    assert!(errors.to_string().contains("UTF-8"), "{errors}");
}

#[test]
fn what_pods_depend_on_is_refused_and_not_ignored() {
    for (name, text) in [
        ("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "true"),
        ("ENABLE_IPv6", "1"),
        ("ENABLE_POD_ENI", "TRUE"),
        ("ENABLE_MULTI_NIC", "true"),
        ("DISABLE_NETWORK_RESOURCE_PROVISIONING", "true"),
        ("ENABLE_IMDS_ONLY_MODE", "true"),
        ("NETWORK_POLICY_ENFORCING_MODE", "strict"),
        ("ENABLE_IPv4", "false"),
    ] {
        assert!(refusal(name, text).contains("not supported"), "{name}");
        let off = match text {
            "strict" => "none",
            "false" => "true",
            _ => "false",
        };
        assert!(read(&[(name, off)]).unwrap().warnings.is_empty(), "{name}");
    }
}

#[test]
fn http_can_be_switched_off_and_metrics_can_be_anywhere() {
    let default = read(&[]).unwrap().http;
    assert_eq!(default.watchers, WatchersAddress::OfNode(61678));
    assert!(default.metrics);
    assert_eq!(default.introspection, "127.0.0.1:61679".parse().ok());
    let off = [("DISABLE_METRICS", "1"), ("DISABLE_INTROSPECTION", "true")];
    let off = read(&off).unwrap().http;
    assert_eq!((off.metrics, off.introspection), (false, None));
    let other = [
        ("BERTH_METRICS_BIND_ADDRESS", ":9100"),
        ("INTROSPECTION_BIND_ADDRESS", "127.0.0.2:80"),
    ];
    let other = read(&other).unwrap().http;
    assert_eq!(other.watchers, WatchersAddress::OfNode(9100));
    assert_eq!(other.introspection, "127.0.0.2:80".parse().ok());
    let all = [("BERTH_METRICS_BIND_ADDRESS", "0.0.0.0:61678")];
    let all = read(&all).unwrap().http.watchers;
    let address = "0.0.0.0:61678".parse().unwrap();
    assert_eq!(all, WatchersAddress::Fixed(address));
    let unix = [("INTROSPECTION_BIND_ADDRESS", "unix:/run/x.sock")];
    let unix = read(&unix).unwrap();
    assert_eq!((unix.http.introspection, unix.warnings.len()), (None, 1));
}

#[test]
fn what_has_no_effect_is_said_once_and_listed() {
    let settings = read(&[
        ("AWS_VPC_K8S_CNI_LOGLEVEL", "5"),
        ("ENABLE_IPv4", "True"),
        ("MY_NODE_NAME", "ip-10-0-1-5"),
        ("ENI_CONFIG_LABEL_DEF", "k8s.amazonaws.com/eniConfig"),
        ("NETWORK_POLICY_ENFORCING_MODE", "standard"),
        ("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "fd00::/8"),
        (
            "ADDITIONAL_ENI_TAGS",
            r#"{"node.k8s.amazonaws.com/x":"y","a":"b"}"#,
        ),
    ])
    .unwrap();
    assert_eq!(settings.warnings.len(), 4, "{:?}", settings.warnings);
    assert!(
        settings
            .warnings
            .iter()
            .any(|line| line.contains("AWS_VPC_K8S_CNI_LOGLEVEL=5"))
    );
    assert_eq!(settings.additional_eni_tags.len(), 1);
    assert!(settings.network.exclude_snat.is_empty());
    let (text, source) = value(&settings, "AWS_VPC_K8S_CNI_LOGLEVEL");
    assert_eq!((&*text, &*source), ("5", "environment, without effect"));
}
