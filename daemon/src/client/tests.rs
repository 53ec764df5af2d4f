//! Why there is no answer, in words.
#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn no_daemon_is_said_with_what_to_check() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("berthd.sock");
    let asked = |socket: &Path| fetch(socket, Ask::State).unwrap_err();
    let away = asked(&socket);
    assert!(matches!(away, ClientError::Away { .. }), "{away}");
    assert!(away.to_string().contains("pod"), "{away}");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let dead = asked(&socket);
    assert!(matches!(dead, ClientError::Away { .. }), "{dead}");
}

#[test]
fn each_failure_has_its_own_words() {
    let socket = Path::new("/run/berth/berthd.sock");
    let denied = unconnected(socket, Errno::ACCESS.into());
    assert!(denied.to_string().contains("root"), "{denied}");
    let silent = unconnected(socket, Errno::TIMEDOUT.into());
    assert!(matches!(silent, ClientError::Silent { .. }), "{silent}");
    let other = state(br#"{"protocol":7,"anything":0}"#).unwrap_err();
    assert!(other.to_string().contains("protocol 7"), "{other}");
    assert!(matches!(state(b"{").unwrap_err(), ClientError::Garbled(_)));
}
