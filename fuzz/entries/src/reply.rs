//! What answers the plugin on the daemon's socket.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use berth_cni::clock::Instant;
use berth_cni::frame::Connection;
use berth_cni::rehearsal::rehearse;

use crate::answered;
use crate::sample::{self, VERBS};
use crate::wire::Sent;

/// Longer than a peer takes that has ended its side.
const PATIENCE: Duration = Duration::from_secs(20);

/// These bytes instead of a daemon's. They are a whole message or the connection is cut; every verb answers something
/// fit for the runtime.
pub fn reply(data: &[u8]) {
    let sent = Sent::read(data);
    let Some(body) = received(&sent) else {
        assert!(sent.message().is_none(), "a message got lost");
        return;
    };
    assert_eq!(Some(body.as_slice()), sent.message());
    let conf = br#"{"cniVersion":"1.1.0","name":"aws-cni","type":"berth-cni","cni.dev/valid-attachments":null,
        "prevResult":{"interfaces":[{"name":"eth0","sandbox":"/var/run/netns/cni-1"}]}}"#;
    for verb in VERBS {
        let rehearsal = rehearse(sample::environment(verb), conf, |_| body.clone());
        answered::check_from(false, verb, &rehearsal);
    }
}

/// What the plugin takes for a message; nothing when it gives up.
fn received(sent: &Sent) -> Option<Vec<u8>> {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    let connection = Connection::over(ours.into(), Instant::now() + PATIENCE);
    thread::scope(|scope| {
        // The plugin may hang up before it has read all.
        let daemon = scope.spawn(move || {
            let written = theirs.write_all(&sent.bytes);
            written.and_then(|()| theirs.shutdown(Shutdown::Write))
        });
        let received = connection.receive();
        drop(connection);
        // Until the thread has gone, which the end of the scope does not wait for: what it has of its own would look leaked.
        let _ = daemon.join().expect("no panic");
        match received {
            Ok(body) => Some(body),
            Err(error) => {
                assert!(!error.is_timeout(), "{error}");
                None
            }
        }
    })
}
