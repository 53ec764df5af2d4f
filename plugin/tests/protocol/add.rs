//! A: what the daemon is told, and how an ADD lives through its absence.

use std::fs::File;
use std::time::{Duration, Instant};

use berth_cni::contract::{AddRequest, Ask, AttachmentId, Interface, PROTOCOL, Request};

use crate::daemon::{Act, Place, Seen, failure, stopping};
use crate::namespace::{Namespace, identity};
use crate::plugin::{CONTAINER, Call};

#[test]
fn the_request_carries_the_attachment_and_the_namespace() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen_well();
    Call::new("ADD", &place).netns(netns.path()).run().result();
    let Seen {
        request,
        descriptors,
    } = daemon.only();
    let id = AttachmentId {
        network: "aws-cni".into(),
        container_id: CONTAINER.into(),
        ifname: "eth0".into(),
    };
    let expected = AddRequest {
        id,
        pod: None,
        netns: netns.path().to_str().unwrap().into(),
        interface: Interface::Create,
        veth_prefix: None,
        mtu: None,
    };
    assert_eq!(
        request,
        Request {
            protocol: PROTOCOL,
            invocation: request.invocation.clone(),
            ask: Ask::Add(expected)
        }
    );
    let passed: Vec<_> = descriptors
        .into_iter()
        .map(|descriptor| identity(&File::from(descriptor)))
        .collect();
    assert_eq!(passed, [netns.identity()]);
}

#[test]
fn a09_what_is_no_namespace_is_refused_before_anything_is_asked() {
    let place = Place::new();
    let daemon = place.listen_well();
    let dir = tempfile::tempdir().unwrap();
    let (file, pipe) = (dir.path().join("file"), dir.path().join("pipe"));
    std::fs::write(&file, "").unwrap();
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let cases = [
        (dir.path().join("none"), "cannot open the network namespace"),
        (file.join("below"), "cannot open the network namespace"),
        (file, "not a network namespace"),
        (pipe, "not a network namespace"),
        (dir.path().into(), "not a network namespace"),
        ("/proc/self/status".into(), "not a network namespace"),
        ("/dev/null".into(), "not a network namespace"),
    ];
    for (path, text) in cases {
        Call::new("ADD", &place)
            .netns(&path)
            .run()
            .fails(4, &[text, path.to_str().unwrap()]);
    }
    assert!(daemon.seen().is_empty());
}

#[test]
fn an_add_waits_for_a_daemon_that_is_starting() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    // A socket file without a listener, as a killed daemon leaves it.
    drop(std::os::unix::net::UnixListener::bind(place.socket()).unwrap());
    let started = Instant::now();
    let call = Call::new("ADD", &place).netns(netns.path());
    let calling = std::thread::spawn(move || call.run());
    pause(Duration::from_millis(400));
    assert!(
        !calling.is_finished(),
        "gave up at once: {:?}",
        calling.join()
    );
    std::fs::remove_file(place.socket()).unwrap();
    pause(Duration::from_millis(200));
    let daemon = place.listen_well();
    calling.join().unwrap().result();
    assert!(started.elapsed() >= Duration::from_millis(600));
    daemon.only();
}

#[test]
fn an_add_that_loses_its_connection_repeats_itself_under_the_same_name() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let half = vec![0, 0, 0, 50, b'{'];
    let daemon = place.listen(vec![Act::Cut, Act::Slam, Act::Say(half), Act::Obey]);
    Call::new("ADD", &place).netns(netns.path()).run().result();
    let seen = daemon.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    for again in &seen {
        assert_eq!(again.request, seen[0].request);
        assert_eq!(again.descriptors.len(), 1);
    }
    let first = seen[0].request.invocation.clone();
    assert!(
        first.len() == 32 && first.bytes().all(|b| b.is_ascii_hexdigit()),
        "{first}"
    );
    Call::new("ADD", &place).netns(netns.path()).run().result();
    assert_ne!(daemon.only().request.invocation, first);
}

#[test]
fn an_add_that_meets_a_daemon_on_its_way_out_asks_the_next_one() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen(vec![stopping(), stopping(), Act::Obey]);
    Call::new("ADD", &place).netns(netns.path()).run().result();
    let seen = daemon.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen.iter().all(|again| again.request == seen[0].request));
}

#[test]
fn an_add_gives_up_on_a_daemon_that_stays_away() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let started = Instant::now();
    let outcome = Call::new("ADD", &place).netns(netns.path()).run();
    outcome.fails(
        11,
        &["berthd does not answer", place.socket().to_str().unwrap()],
    );
    assert!(
        started.elapsed() >= Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    assert!(place.buried().is_empty());
}

#[test]
fn an_add_that_was_refused_is_not_repeated() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen(vec![failure(11, "the subnet is full", "")]);
    Call::new("ADD", &place)
        .netns(netns.path())
        .run()
        .fails(11, &["the subnet is full"]);
    daemon.only();
}

#[test]
fn p05_an_add_ends_by_its_deadline() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen(vec![Act::Hang]);
    let started = Instant::now();
    Call::new("ADD", &place)
        .netns(netns.path())
        .run()
        .fails(11, &["berthd did not answer in time"]);
    assert!(
        started.elapsed() >= Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    daemon.only();
}

#[allow(
    clippy::disallowed_methods,
    reason = "lets the plugin meet a daemon that is away"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
