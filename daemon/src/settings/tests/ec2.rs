//! The settings about EC2 and the primary ENI: proxies, whose passwords are nobody's business, time-outs, claims, and the SDK's variables.

use std::time::Duration;

use super::{read, refusal, value};

#[test]
fn a_proxy_is_taken_as_go_takes_it() {
    for (name, text, url) in [
        (
            "HTTPS_PROXY",
            "http://10.0.0.1:3128",
            "http://10.0.0.1:3128",
        ),
        ("https_proxy", "10.0.0.1:3128", "http://10.0.0.1:3128"),
        (
            "HTTPS_PROXY",
            "https://[fd00::1]:3128",
            "https://[fd00::1]:3128",
        ),
    ] {
        let settings = read(&[(name, text), ("NO_PROXY", ".internal")]).unwrap();
        assert_eq!(settings.cloud.https_proxy.as_deref(), Some(url));
        assert_eq!(settings.cloud.no_proxy.as_deref(), Some(".internal"));
        assert_eq!(value(&settings, name), (url.into(), "environment".into()));
    }
    let both = read(&[
        ("https_proxy", "http://small"),
        ("HTTPS_PROXY", "http://large"),
    ])
    .unwrap();
    assert_eq!(both.cloud.https_proxy.as_deref(), Some("http://large"));
    for text in ["socks5://10.0.0.1", "http://", "a b", "http://<x>"] {
        assert!(
            refusal("HTTPS_PROXY", text).contains("URL of a proxy"),
            "{text}"
        );
    }
}

#[test]
fn no_password_is_shown() {
    let settings = read(&[
        ("HTTPS_PROXY", "http://me:hunter2@proxy:3128"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
    ])
    .unwrap();
    assert_eq!(value(&settings, "HTTPS_PROXY").0, "http://...@proxy:3128");
    assert_eq!(value(&settings, "AWS_SECRET_ACCESS_KEY").0, "(set)");
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(!refusal("HTTPS_PROXY", "ftp://me:hunter2@proxy").contains("hunter2"));
}

#[test]
fn what_the_sdk_reads_is_listed() {
    let settings = read(&[("AWS_REGION", "eu-west-1")]).unwrap();
    let listed = ("eu-west-1".into(), "environment, for the AWS SDK".into());
    assert_eq!(value(&settings, "AWS_REGION"), listed);
}

#[test]
fn time_out_and_claims_reach_their_fields() {
    let settings = read(&[
        ("HTTP_TIMEOUT", "30"),
        ("MANAGE_UNTAGGED_ENI", "true"),
        ("DISABLE_LEAKED_ENI_CLEANUP", "true"),
    ])
    .unwrap();
    assert_eq!(settings.cloud.timeout, Duration::from_secs(30));
    assert!(settings.claims.untagged && !settings.claims.leaked);
    assert!(refusal("HTTP_TIMEOUT", "5").contains("from 10 to 60"));
}

#[test]
fn a_mark_of_the_primary_must_be_free_of_the_others() {
    assert!(refusal("AWS_VPC_K8S_CNI_CONNMARK", "0x4000").contains("kube-proxy"));
    assert!(refusal("AWS_VPC_K8S_CNI_CONNMARK", "high").contains("such as 0x80"));
    let Err(errors) = read(&[("AWS_VPC_K8S_CNI_CONNMARK", "0x10")]) else {
        panic!("overlaps the default mask");
    };
    assert!(
        errors.to_string().contains("BERTH_MARK_MASK=\"0x7e\""),
        "{errors}"
    );
    assert!(
        read(&[
            ("AWS_VPC_K8S_CNI_CONNMARK", "0x10"),
            ("BERTH_MARK_MASK", "0xf00")
        ])
        .is_ok()
    );
}

#[test]
fn what_concerns_the_primary_eni_reaches_its_field() {
    let settings = read(&[
        ("AWS_VPC_CNI_NODE_PORT_SUPPORT", "false"),
        ("AWS_VPC_K8S_CNI_CONNMARK", "256"),
        ("AWS_EXTERNAL_SERVICE_CIDRS", "192.0.2.0/24,fd00::/8"),
    ])
    .unwrap();
    let network = &settings.network;
    assert!(!network.node_port);
    assert_eq!(network.primary_mark.bits(), 0x100);
    let service = "192.0.2.0/24".parse().unwrap();
    assert_eq!(network.external_services, [service]);
    assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
}
