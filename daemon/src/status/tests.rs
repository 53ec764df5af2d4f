//! `berthd status` against a served socket, and against sockets where something is wrong.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::future::pending;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_cni::contract::{AddRequest, CheckRequest, DelRequest, Failure, GcRequest, Outcome};

use super::*;
use crate::report::{
    AddressCounts, AttachmentReport, DegradedReport, EniReport, ReasonReport, Report,
    ReserveReport, SettingReport, WaitingReport,
};
use crate::server::{Listener, Service};

struct Says(Outcome);

#[async_trait]
impl Service for Says {
    async fn add(&self, _: AddRequest, _: String, _: OwnedFd) -> Outcome {
        panic!("status asks for the state")
    }

    async fn del(&self, _: DelRequest, _: Option<OwnedFd>) -> Outcome {
        panic!("status asks for the state")
    }

    async fn check(&self, _: CheckRequest, _: OwnedFd) -> Outcome {
        panic!("status asks for the state")
    }

    async fn gc(&self, _: GcRequest) -> Outcome {
        panic!("status asks for the state")
    }

    async fn status(&self) -> Outcome {
        panic!("status asks for the state")
    }

    async fn state(&self) -> Outcome {
        self.0.clone()
    }

    async fn explain(&self) -> Outcome {
        panic!("status asks for the state")
    }
}

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 23);

fn counts() -> AddressCounts {
    AddressCounts {
        held: 2,
        used: 1,
        free: 1,
        ..AddressCounts::default()
    }
}

fn enis() -> Vec<EniReport> {
    vec![EniReport {
        id: "eni-0123".into(),
        mac: "02:00:00:00:00:01".into(),
        device_index: 0,
        ownership: "primary".into(),
        state: "ready".into(),
        primary_address: Some(Ipv4Addr::new(10, 0, 1, 5)),
        addresses: counts(),
        held: BTreeMap::from([
            (ADDRESS, "used".into()),
            (Ipv4Addr::new(10, 0, 1, 24), "free".into()),
        ]),
        prefixes: Vec::new(),
    }]
}

fn report() -> Report {
    Report {
        version: "0.1.0".into(),
        instance_id: Some("i-0abc".into()),
        instance_type: Some("m5.large".into()),
        max_enis: 3,
        addresses_per_eni: 9,
        enis: enis(),
        reserve: Some(ReserveReport {
            low: 1,
            high: 2,
            keep: 2,
            surplus: 3,
        }),
        addresses: counts(),
        attachments: vec![AttachmentReport {
            network: "aws-cni".into(),
            container_id: "c0ffee".into(),
            ifname: "eth0".into(),
            pod: Some("default/web-0".into()),
            address: ADDRESS,
            eni: "eni-0123".into(),
            since: 0,
        }],
        waiting: vec![WaitingReport {
            attachment: "aws-cni/beef/eth0".into(),
            waited_ms: 1500,
            reason: "subnet-1 has no free address".into(),
        }],
        expected: Some(3),
        intents: Vec::new(),
        subnet_id: Some("subnet-1".into()),
        started_at: 1_700_000_000,
        written_at: 1_700_011_525,
        serving: true,
        not_serving: None,
        reasons: vec![ReasonReport {
            name: "SubnetFull".into(),
            message: "the subnet has no free address".into(),
            remedy: "free addresses".into(),
        }],
        degraded: vec![DegradedReport {
            feature: "metrics".into(),
            message: "port taken".into(),
            remedy: "free it".into(),
        }],
        described_at: Some(1_700_011_465),
        checkpoint_failure: Some("disk full".into()),
        tombstones_waiting: 2,
        subnet_free_addresses: BTreeMap::from([("subnet-1".into(), 0)]),
        ec2_calls: BTreeMap::from([("AssignPrivateIpAddresses".into(), 4)]),
        repairs: BTreeMap::from([("rule".into(), 2)]),
        disputes: vec!["rules: mended 17 times in 3 s".into()],
        conflist: "/host/etc/cni/net.d/05-berth.conflist stands".into(),
        settings: vec![SettingReport {
            name: "MAX_ENI".into(),
            value: "3".into(),
            source: "environment".into(),
        }],
    }
}

const PAGE: &str = "\
berthd 0.1.0 on i-0abc (m5.large), up 3h 12m 5s: serving
1 of 3 ENIs, 9 addresses an ENI; subnet-1 has 0 addresses left
holds 2 addresses: 1 with pods, 1 free for the next pods; 3 more pods are bound to the node and will ask
reserve: below 1 free more are asked for, up to 2; above 2 they go, 3 of them now (why and when: berthd explain)
conflist: /host/etc/cni/net.d/05-berth.conflist stands

Not as it should be:
  SubnetFull: the subnet has no free address
      -> free addresses
  the checkpoint is not written, so ADD and DEL fail: disk full
      -> make room on its file system, or repair it
  2 DELs that met no daemon failed again
      -> nothing to do: they are tried each 30 s; the log says why
  changed by something else again and again: rules: mended 17 times in 3 s
      -> find what else configures the network of this node (docs/operations.md, BerthRepairs)
  degraded: metrics (pods are served all the same): port taken
      -> free it

Waiting for an address:
  aws-cni/beef/eth0 for 1500 ms: subnet-1 has no free address

ENI       DEV  OWNER    STATE  PRIMARY   HELD  USED  COOLING  FREE  QUARANTINED  UNASSIGNING
eni-0123  0    primary  ready  10.0.1.5  2     1     0        1     0            0
total                                    2     1     0        1     0            0

ADDRESS    STATE  ENI       POD
10.0.1.23  used   eni-0123  default/web-0 (c0ffee/eth0)
10.0.1.24  free   eni-0123

EC2 described the ENIs 1m ago.
Calls to EC2 since the start:
  AssignPrivateIpAddresses: 4

Mended since the start:
  rule: 2

Settings that are not the default:
  MAX_ENI=3 (environment)
";

/// What `berthd status` prints, or why not, when the daemon says this.
async fn status(json: bool, outcome: Outcome) -> Result<String, ClientError> {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("berthd.sock");
    let listener = Listener::bind(&socket).unwrap();
    let server =
        tokio::spawn(listener.serve(Arc::new(Says(outcome)), pending(), Duration::from_secs(5)));
    let args = StatusArgs { json, socket };
    let asked = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        run(&args, &mut out).map(|()| String::from_utf8(out).unwrap())
    });
    let told = asked.await.unwrap();
    server.abort();
    told
}

fn state(report: &Report) -> Outcome {
    Outcome::State {
        state: serde_json::to_value(report).unwrap(),
    }
}

#[tokio::test]
async fn people_get_a_page() {
    assert_eq!(status(false, state(&report())).await.unwrap(), PAGE);
}

#[tokio::test]
async fn a_daemon_that_has_just_started_has_little_to_say() {
    let page = status(false, state(&Report::default())).await.unwrap();
    assert!(
        page.contains("unknown") && page.contains("limits not known yet"),
        "{page}"
    );
    assert!(!page.contains("Waiting"), "{page}");
    assert!(page.contains("does not serve ADDs yet"), "{page}");
}

#[tokio::test]
async fn tools_get_the_document_as_it_came() {
    let newer = serde_json::json!({"version": "9", "from": ["the future"]});
    let outcome = Outcome::State {
        state: newer.clone(),
    };
    let text = status(true, outcome.clone()).await.unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        newer
    );
    let error = status(false, outcome).await.unwrap_err();
    assert!(error.to_string().contains("--json"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_passed_on() {
    let failure = Failure {
        code: 11,
        reason: "DaemonStarting".into(),
        msg: "berthd starts".into(),
        details: String::new(),
    };
    let error = status(false, Outcome::Failed(failure)).await.unwrap_err();
    assert!(error.to_string().contains("berthd starts"), "{error}");
    let error = status(false, Outcome::Deleted).await.unwrap_err();
    assert!(matches!(error, ClientError::Garbled(_)), "{error}");
}
