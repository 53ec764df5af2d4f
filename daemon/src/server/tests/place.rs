//! The socket's name is taken away under the server, with its directory or without, or by another daemon.

use std::os::unix::net::UnixListener as Other;
use std::path::Path;

use berth_cni::contract::Outcome;
use tokio::net::UnixStream;
use tokio::time::{Duration, Instant, sleep};

use super::fixture::{PATIENCE, Served, del, reply, request, send_with, serve};
use crate::server::Limits;

async fn stop(served: &mut Served) {
    served.stop.send_replace(true);
    (&mut served.server).await.unwrap();
}

/// Asks until somebody answers, as the plugin does.
async fn answers(socket: &Path) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(mut stream) = UnixStream::connect(socket).await {
            send_with(&stream, &request(del()), &[]);
            assert!(matches!(reply(&mut stream).await, Outcome::State { .. }));
            return;
        }
        assert!(Instant::now() < deadline, "nobody answers any more");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_removed_socket_comes_back() {
    let mut served = serve(Limits::default());
    for _ in 0..3 {
        answers(&served.path).await;
        std::fs::remove_file(&served.path).unwrap();
    }
    answers(&served.path).await;
    stop(&mut served).await;
    assert!(!exists(&served.path));
}

#[tokio::test]
async fn so_does_one_whose_directory_was_removed() {
    let served = serve(Limits::default());
    answers(&served.path).await;
    std::fs::remove_dir_all(served.path.parent().unwrap()).unwrap();
    answers(&served.path).await;
}

#[tokio::test]
async fn the_socket_of_another_daemon_is_left_to_it() {
    let mut served = serve(Limits::default());
    let beside = served.path.with_extension("other");
    let other = Other::bind(&beside).unwrap();
    other.set_nonblocking(true).unwrap();
    std::fs::rename(&beside, &served.path).unwrap();
    // It looks who answers there, and finds that somebody does.
    let deadline = Instant::now() + PATIENCE;
    while other.accept().is_err() {
        assert!(Instant::now() < deadline, "it did not look");
        sleep(Duration::from_millis(10)).await;
    }
    stop(&mut served).await;
    assert!(exists(&served.path), "not its own to remove");
    drop(other);
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
