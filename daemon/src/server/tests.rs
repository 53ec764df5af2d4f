//! At the socket: a client that behaves, and all the ways not to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod fixture;
mod place;

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use berth_cni::contract::{Ask, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::{Limits, Listener};
use fixture::{Fake, PATIENCE, add, del, failure, framed, reply, request, send_with, serve, state};

#[tokio::test]
async fn an_add_is_served_with_its_descriptor_and_closes_it() {
    let served = serve(Limits::default());
    let namespace = served.namespace("the pod's");
    let mut stream = served.connect().await;
    send_with(&stream, &request(add("c")), &[namespace.as_fd()]);
    let Outcome::Added(added) = reply(&mut stream).await else {
        panic!()
    };
    assert_eq!(
        (&*added.host_ifname, &*added.host_mac),
        ("the pod's", "one")
    );
    assert_eq!(served.open_namespaces(), 1, "only the client's own");
}

#[tokio::test]
async fn a_request_may_come_a_byte_at_a_time() {
    let served = serve(Limits::default());
    let namespace = served.namespace("slow");
    let mut stream = served.connect().await;
    let bytes = request(add("c"));
    send_with(&stream, &bytes[..1], &[namespace.as_fd()]);
    for byte in &bytes[1..] {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(matches!(reply(&mut stream).await, Outcome::Added(_)));
}

#[tokio::test]
async fn del_takes_one_descriptor_or_none() {
    let served = serve(Limits::default());
    let namespace = served.namespace("");
    for (descriptors, had) in [(vec![], false), (vec![namespace.as_fd()], true)] {
        let mut stream = served.connect().await;
        send_with(&stream, &request(del()), &descriptors);
        let Outcome::State { state } = reply(&mut stream).await else {
            panic!()
        };
        assert_eq!(state, serde_json::Value::Bool(had));
    }
}

#[tokio::test]
async fn missing_and_doubled_descriptors_are_refused_and_closed() {
    let served = serve(Limits::default());
    let namespace = served.namespace("");
    let fd = namespace.as_fd();
    for (ask, descriptors) in [
        (add("c"), vec![]),
        (add("c"), vec![fd, fd]),
        (add("c"), vec![fd; 8]),
        (del(), vec![fd, fd]),
        (Ask::State, vec![fd]),
    ] {
        let mut stream = served.connect().await;
        send_with(&stream, &request(ask), &descriptors);
        let failure = failure(&mut stream).await;
        assert_eq!((failure.code, &*failure.reason), (100, "Descriptors"));
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "closed");
        assert_eq!(served.open_namespaces(), 1, "{failure:?}");
    }
}

#[tokio::test]
async fn a_descriptor_on_each_byte_is_refused_and_all_are_closed() {
    let served = serve(Limits::default());
    let namespace = served.namespace("");
    let mut stream = served.connect().await;
    for byte in &request(add("c"))[..4] {
        send_with(&stream, &[*byte], &[namespace.as_fd()]);
    }
    assert_eq!(failure(&mut stream).await.reason, "Descriptors");
    drop(stream);
    assert!(matches!(state(&served).await, Outcome::Deleted));
    served.only_the_tests_own_is_left().await;
}

#[tokio::test]
async fn nonsense_is_answered_with_what_is_wrong() {
    let served = serve(Limits::default());
    let unknown = br#"{"protocol":2,"invocation":"one","ask":{"verb":"dance"}}"#;
    let long = format!(
        r#"{{"protocol":2,"ask":{{"verb":"{}"}}}}"#,
        "x".repeat(5000)
    );
    let newer = br#"{"protocol":7,"ask":["in a way that nobody knows yet"]}"#;
    for (bytes, reason, word) in [
        (
            u32::MAX.to_be_bytes().to_vec(),
            "RequestLength",
            "4294967295",
        ),
        (vec![0; 4], "RequestLength", "0 bytes"),
        (framed(b"{\"protocol\":"), "RequestGarbled", "EOF"),
        (framed(&[0xff; 900]), "RequestGarbled", ""),
        (framed("[".repeat(100_000).as_bytes()), "RequestGarbled", ""),
        (framed(unknown), "RequestGarbled", "dance"),
        (framed(long.as_bytes()), "RequestGarbled", "unknown"),
        (framed(newer), "OtherProtocol", "protocol 7"),
    ] {
        let mut stream = served.connect().await;
        stream.write_all(&bytes).await.unwrap();
        let failure = failure(&mut stream).await;
        assert_eq!((failure.code, &*failure.reason), (100, reason));
        assert!(failure.msg.contains(word), "{failure:?}");
        assert!(failure.msg.len() < 300, "{failure:?}");
    }
    assert!(matches!(state(&served).await, Outcome::Deleted));
}

#[tokio::test]
async fn half_a_request_is_given_up_after_its_time() {
    let served = serve(Limits {
        transfer: Duration::from_millis(50),
        ..Limits::default()
    });
    for sent in [0, 2, 20] {
        let mut stream = served.connect().await;
        stream.write_all(&request(del())[..sent]).await.unwrap();
        assert_eq!(failure(&mut stream).await.reason, "RequestTimeout");
    }
}

#[tokio::test]
async fn a_client_that_leaves_early_harms_nobody() {
    let served = serve(Limits::default());
    let namespace = served.namespace("");
    for sent in [0, 2, 20] {
        let stream = served.connect().await;
        if sent > 0 {
            send_with(&stream, &request(add("c"))[..sent], &[namespace.as_fd()]);
        }
    }
    assert!(matches!(state(&served).await, Outcome::Deleted));
    served.only_the_tests_own_is_left().await;
}

#[tokio::test]
async fn the_request_is_dropped_when_its_client_goes() {
    let mut served = serve(Limits::default());
    let namespace = served.namespace("");
    let stream = served.connect().await;
    send_with(&stream, &request(add("wait")), &[namespace.as_fd()]);
    assert_eq!(served.events.recv().await, Some("waiting"));
    assert_eq!(served.open_namespaces(), 2, "the service holds one");
    drop(stream);
    let dropped = timeout(PATIENCE, served.events.recv()).await;
    assert_eq!(dropped.expect("not cancelled"), Some("dropped"));
}

#[tokio::test]
async fn bytes_after_the_request_end_it() {
    let mut served = serve(Limits::default());
    let namespace = served.namespace("");
    let mut stream = served.connect().await;
    send_with(&stream, &request(add("wait")), &[namespace.as_fd()]);
    assert_eq!(served.events.recv().await, Some("waiting"));
    send_with(&stream, b"!", &[namespace.as_fd()]);
    assert_eq!(failure(&mut stream).await.reason, "TrailingBytes");
    assert_eq!(served.events.recv().await, Some("dropped"));
    drop(stream);
    assert!(matches!(state(&served).await, Outcome::Deleted));
    served.only_the_tests_own_is_left().await;
}

#[tokio::test]
async fn idle_connections_do_not_stop_others() {
    let served = serve(Limits {
        transfer: PATIENCE,
        ..Limits::default()
    });
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(served.connect().await);
    }
    assert!(matches!(state(&served).await, Outcome::Deleted));
}

#[tokio::test]
async fn one_connection_too_many_waits_for_a_place() {
    let served = serve(Limits {
        connections: 2,
        transfer: PATIENCE,
        ..Limits::default()
    });
    let (first, _second) = (served.connect().await, served.connect().await);
    let mut third = served.connect().await;
    third.write_all(&request(Ask::State)).await.unwrap();
    let early = timeout(Duration::from_millis(50), third.readable()).await;
    assert!(early.is_err(), "answered although both places are taken");
    drop(first);
    assert!(matches!(reply(&mut third).await, Outcome::Deleted));
}

#[tokio::test]
async fn a_stop_ends_accepting_and_waits_for_what_is_served() {
    let mut served = serve(Limits::default());
    let namespace = served.namespace("finished");
    let mut stream = served.connect().await;
    send_with(&stream, &request(add("wait")), &[namespace.as_fd()]);
    assert_eq!(served.events.recv().await, Some("waiting"));
    served.stop.send(true).unwrap();
    while served.path.exists() {
        tokio::task::yield_now().await;
    }
    assert!(UnixStream::connect(&served.path).await.is_err());
    served.fake.go.notify_one();
    assert!(matches!(reply(&mut stream).await, Outcome::Added(_)));
    timeout(PATIENCE, served.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut_off() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("berthd.sock");
    let listener = Listener::bind(&path).unwrap();
    let (events, mut seen) = mpsc::unbounded_channel();
    let go = Notify::new();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let server = tokio::spawn(async move {
        let grace = Duration::from_millis(10);
        let fake = Arc::new(Fake { events, go });
        listener.serve(fake, stopped.notified(), grace).await;
    });
    let null = File::open("/dev/null").unwrap();
    let stream = UnixStream::connect(&path).await.unwrap();
    send_with(&stream, &request(add("wait")), &[null.as_fd()]);
    assert_eq!(seen.recv().await, Some("waiting"));
    stop.notify_one();
    timeout(PATIENCE, server).await.unwrap().unwrap();
    assert_eq!(seen.recv().await, Some("dropped"));
}
