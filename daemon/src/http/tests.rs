//! The handlers by HTTP over the loopback, on a port that the kernel chooses.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::report::{AddressCounts, AttachmentReport, EniReport, ReasonReport};

/// A daemon that says this; one that says nothing does not turn.
#[derive(Clone)]
struct Says(Option<Result<Report, Stopped>>);

impl Reporting for Says {
    async fn report(&self) -> Result<Report, Stopped> {
        match &self.0 {
            Some(report) => report.clone(),
            None => std::future::pending().await,
        }
    }
}

async fn served(router: Router, bounds: Bounds) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(Bounded::new(listener, bounds), router).await });
    address
}

/// Status and body.
async fn fetch(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

async fn watched(says: Option<Result<Report, Stopped>>) -> SocketAddr {
    let metrics = Metrics::new().ok();
    served(watchers(Says(says), metrics), Bounds::default()).await
}

fn serving() -> Report {
    Report {
        serving: true,
        ..Report::default()
    }
}

#[tokio::test]
async fn who_serves_is_ready() {
    let daemon = watched(Some(Ok(serving()))).await;
    assert_eq!(fetch(daemon, "/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(fetch(daemon, "/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(fetch(daemon, "/debug").await.0, 404);
}

#[tokio::test]
async fn probes_are_answered_without_metrics() {
    let router = watchers(Says(Some(Ok(serving()))), None);
    let daemon = served(router, Bounds::default()).await;
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/metrics", 404)] {
        assert_eq!(fetch(daemon, path).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn who_cannot_serve_yet_is_alive_and_says_why_it_is_not_ready() {
    let starting = Report {
        not_serving: Some("no metadata".to_owned()),
        ..Report::default()
    };
    let daemon = watched(Some(Ok(starting))).await;
    assert_eq!(fetch(daemon, "/livez").await.0, 200);
    assert_eq!(
        fetch(daemon, "/readyz").await,
        (503, "no metadata\n".to_owned())
    );
}

#[tokio::test]
async fn a_node_without_addresses_is_ready() {
    let reason = ReasonReport {
        name: "SubnetFull".to_owned(),
        message: String::new(),
        remedy: String::new(),
    };
    let full = Report {
        reasons: vec![reason],
        ..serving()
    };
    let daemon = watched(Some(Ok(full))).await;
    assert_eq!(fetch(daemon, "/readyz").await.0, 200);
    let (_, text) = fetch(daemon, "/metrics").await;
    assert!(text.contains("berth_reason_active{reason=\"SubnetFull\"} 1\n"));
    assert!(text.contains("berth_reason_active{reason=\"Throttled\"} 0\n"));
}

#[tokio::test]
async fn a_daemon_that_does_not_turn_is_not_alive() {
    for says in [None, Some(Err(Stopped))] {
        let daemon = watched(says).await;
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(fetch(daemon, path).await.0, 503, "{path}");
        }
    }
}

#[tokio::test]
async fn a_slow_client_is_cut_and_gives_its_place_to_the_next() {
    let bounds = Bounds {
        connections: 1,
        lifetime: Duration::from_millis(200),
    };
    let router = watchers(Says(Some(Ok(serving()))), None);
    let address = served(router, bounds).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /metr").await.unwrap();
    let next = fetch(address, "/livez");
    assert_eq!(next.await.0, 200);
    // Whether by an end or by a reset: it is over.
    let cut = timeout(Duration::from_secs(30), slow.read(&mut [0; 64])).await;
    assert!(matches!(cut.unwrap(), Ok(0) | Err(_)));
}

fn with_a_pod() -> Report {
    let address = Ipv4Addr::new(10, 0, 1, 23);
    let addresses = AddressCounts {
        held: 2,
        used: 1,
        free: 1,
        ..AddressCounts::default()
    };
    let eni = |id: &str, device_index, ownership: &str, held: &[Ipv4Addr]| EniReport {
        id: id.to_owned(),
        mac: "02:00:00:00:00:01".to_owned(),
        device_index,
        ownership: ownership.to_owned(),
        state: "ready".to_owned(),
        primary_address: Some(Ipv4Addr::new(10, 0, 1, 5)),
        addresses,
        held: held
            .iter()
            .map(|address| (*address, String::new()))
            .collect(),
        prefixes: Vec::new(),
    };
    Report {
        subnet_id: Some("subnet-1".to_owned()),
        addresses,
        enis: vec![
            eni("eni-0", 0, "primary", &[]),
            eni("eni-1", 1, "ours", &[address, Ipv4Addr::new(10, 0, 1, 24)]),
            eni("eni-2", 2, "foreign", &[]),
        ],
        attachments: vec![AttachmentReport {
            network: "aws-cni".to_owned(),
            container_id: "c0ffee".to_owned(),
            ifname: "eth0".to_owned(),
            pod: Some("default/web-0".to_owned()),
            address,
            eni: "eni-1".to_owned(),
            since: 1_700_000_000_000_000_000,
        }],
        ..serving()
    }
}

#[tokio::test]
async fn enis_are_listed_as_aws_node_lists_them() {
    let router = introspection(Says(Some(Ok(with_a_pod()))));
    let address = served(router, Bounds::default()).await;
    let (status, text) = fetch(address, "/v1/enis").await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&text).unwrap();
    let card = &document["0"];
    assert_eq!(
        (&card["TotalIPs"], &card["AssignedIPs"]),
        (&2.into(), &1.into())
    );
    let enis = card["ENIs"].as_object().unwrap();
    assert_eq!(enis.keys().collect::<Vec<_>>(), ["eni-0", "eni-1"]);
    assert_eq!(enis["eni-0"]["RouteTableID"], 254);
    assert_eq!(enis["eni-1"]["RouteTableID"], 2);
    let cidrs = &enis["eni-1"]["AvailableIPv4Cidrs"];
    assert_eq!(cidrs["10.0.1.24/32"]["IPAddresses"], serde_json::json!({}));
    let pod = &cidrs["10.0.1.23/32"]["IPAddresses"]["10.0.1.23"];
    assert_eq!(pod["IPAMMetadata"]["k8sPodName"], "web-0");
    assert_eq!(
        pod["IPAMKey"]["containerID"], "",
        "container ids are not public"
    );
    assert_eq!(pod["AssignedTime"], "2023-11-14T22:13:20.000000000Z");
    assert!(!text.contains("c0ffee"));
    assert!(fetch(address, "/").await.1.contains("/v1/enis"));
    assert_eq!(fetch(address, "/metrics").await.0, 404);
}

#[test]
fn a_prefix_is_one_entry_with_those_of_its_addresses_that_pods_have() {
    let mut report = with_a_pod();
    let eni = &mut report.enis[1];
    eni.prefixes = vec!["10.0.1.16/28".parse().unwrap()];
    let members = (16..32).map(|last| Ipv4Addr::new(10, 0, 1, last));
    let held = members.chain([Ipv4Addr::new(10, 0, 1, 40)]);
    eni.held = held.map(|address| (address, String::new())).collect();
    let document = enis::document(&report);
    let cidrs = &document["0"]["ENIs"]["eni-1"]["AvailableIPv4Cidrs"];
    let keys: Vec<_> = cidrs.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["10.0.1.16/28", "10.0.1.40/32"]);
    let prefix = &cidrs["10.0.1.16/28"];
    assert_eq!(prefix["IsPrefix"], true);
    // as Go writes net.IPMask(ff, ff, ff, f0)
    let cidr = serde_json::json!({"IP": "10.0.1.16", "Mask": "////8A=="});
    assert_eq!(prefix["Cidr"], cidr);
    let pods = prefix["IPAddresses"].as_object().unwrap();
    assert_eq!(pods.keys().collect::<Vec<_>>(), ["10.0.1.23"]);
    assert_eq!(
        pods["10.0.1.23"]["IPAMMetadata"]["k8sPodNamespace"],
        "default"
    );
    assert_eq!(cidrs["10.0.1.40/32"]["IsPrefix"], false);
}

#[tokio::test(start_paused = true)]
async fn a_taken_port_is_told_and_tried_again() {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = first.local_addr().unwrap();
    let degraded = Degraded::default();
    let (shared, router) = (degraded.clone(), introspection(Says(None)));
    let task = tokio::spawn(async move {
        listen(Feature::Metrics, address, router, &shared).await;
    });
    sleep(3 * AGAIN).await;
    let told = degraded.report().pop().unwrap();
    assert!(told.message.contains(&address.to_string()), "{told:?}");
    drop(first);
    sleep(2 * AGAIN).await;
    assert_eq!(degraded.report(), []);
    task.abort();
}
