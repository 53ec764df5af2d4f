//! S: STATUS fails, with code 50, only where there is no daemon and was none for a minute, or, as ADD does, by its
//! configuration; and always in time.

use std::fs::{File, FileTimes};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant, SystemTime};

use berth_cni::contract::Ask;
use serde_json::{Value, json};

use crate::daemon::{Act, Place, failure, framed, stopping};
use crate::plugin::{Call, Outcome, config_with};

/// Far above the second that it may take on a machine with nothing else to do, far below any other deadline.
const AT_ONCE: Duration = Duration::from_secs(5);

fn status(place: &Place) -> Outcome {
    status_of(place, &json!({}))
}

/// With more in the configuration.
fn status_of(place: &Place, members: &Value) -> Outcome {
    let config = config_with(place, &version_and(members));
    let started = Instant::now();
    // As libcni calls it: everything about the container is empty.
    let call = Call::bare("STATUS")
        .env("CNI_CONTAINERID", "")
        .env("CNI_NETNS", "");
    let outcome = call.env("CNI_PATH", "/opt/cni/bin").config(&config).run();
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    outcome
}

/// The members of a configuration, in a version that has STATUS.
fn version_and(members: &Value) -> Value {
    let mut members = members.clone();
    members["cniVersion"] = "1.1.0".into();
    members
}

/// The daemon was alive at this time.
fn alive_at(place: &Place, time: SystemTime) {
    let file = File::create(place.heartbeat()).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn ago(seconds: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(seconds)
}

#[test]
fn s01_s07_a_daemon_that_answers_is_enough() {
    let place = Place::new();
    let daemon = place.listen_well();
    status(&place).silent();
    let seen = daemon.only();
    assert_eq!(seen.request.ask, Ask::Status);
    assert!(seen.descriptors.is_empty());
}

#[test]
fn s02_without_a_daemon_it_is_code_50() {
    let place = Place::new();
    let error = status(&place).fails(50, &["berthd does not answer", "berth pod"]);
    assert_eq!(error["cniVersion"], "1.1.0");
    // Nothing was left for a daemon to find.
    assert!(!place.tombstones().exists());
}

#[test]
fn s08_a_daemon_that_was_alive_a_moment_ago_is_enough() {
    let place = Place::new();
    let deeds = [Act::Cut, Act::Slam, stopping(), Act::Hang];
    alive_at(&place, ago(40));
    status(&place).silent();
    let daemon = place.listen(deeds.to_vec());
    for _ in &deeds {
        status(&place).silent();
    }
    assert_eq!(daemon.seen().len(), 3);
    alive_at(&place, ago(80));
    status(&place).fails(50, &["did not answer in time"]);
    drop(daemon);
    status(&place).fails(50, &["does not answer"]);
}

#[test]
fn s08_a_clock_that_was_set_makes_nothing_alive_for_long() {
    let place = Place::new();
    alive_at(&place, SystemTime::now() + Duration::from_secs(40));
    status(&place).silent();
    alive_at(&place, SystemTime::now() + Duration::from_secs(3600));
    status(&place).fails(50, &[]);
}

#[test]
fn s01_a_configuration_that_no_add_accepts_is_refused_as_add_refuses_it() {
    let place = Place::new();
    let daemon = place.listen_well();
    let mistakes = [
        json!({"mtu": "much"}),
        json!({"mtu": 575}),
        json!({"vethPrefix": "enies"}),
        json!({"socket": "berthd.sock"}),
        json!({"tombstones": ""}),
    ];
    for members in mistakes {
        let (key, value) = members.as_object().unwrap().iter().next().unwrap();
        let told = status_of(&place, &members).fails(7, &[key, &value.to_string()]);
        let config = config_with(&place, &version_and(&members));
        let refused = Call::new("ADD", &place).config(&config).run();
        assert_eq!(told, refused.fails(7, &[key]));
    }
    let fine = json!({"mtu": "1500", "vethPrefix": "pod"});
    status_of(&place, &fine).silent();
    assert_eq!(daemon.only().request.ask, Ask::Status);
}

#[test]
fn s06_a_daemon_that_accepts_nobody_costs_no_more_than_one_that_is_silent() {
    let place = Place::new();
    let _deaf = UnixListener::bind(place.socket()).unwrap();
    status(&place).fails(50, &["did not answer in time"]);
    alive_at(&place, ago(1));
    status(&place).silent();
}

#[test]
fn s01_a_daemon_that_could_serve_no_add_is_no_daemon_however_alive() {
    let place = Place::new();
    alive_at(&place, ago(1));
    let other = br#"{"protocol": 7, "what": "ever"}"#;
    let acts = vec![Act::Say(framed(other)), failure(100, "no such verb", "")];
    let _daemon = place.listen(acts);
    status(&place).fails(50, &["protocol 7", "same release"]);
    status(&place).fails(50, &["no such verb"]);
}

#[test]
fn s06_a_daemon_that_sends_byte_after_byte_costs_no_more_than_one_that_is_silent() {
    let place = Place::new();
    let _daemon = place.listen(vec![Act::Drip]);
    status(&place).fails(50, &["did not answer in time"]);
}
