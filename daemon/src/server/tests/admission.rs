//! Who may connect: the socket's mode, and the peer's uid should the mode not hold.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use berth_cni::contract::{Failure, Outcome, Reply};
use rustix::process::{Uid, geteuid};

use super::fixture::serve;
use crate::server::{BindError, Limits, Listener};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_socket_is_private_and_replaces_only_a_dead_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run/berthd.sock");
    let first = Listener::bind(&path).unwrap();
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    assert!(matches!(
        Listener::bind(&path),
        Err(BindError::Taken { .. })
    ));
    drop(first);
    assert!(path.exists(), "left behind as by kill -9");
    let _second = Listener::bind(&path).unwrap();
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1
    );
}

/// What another user is told. The uid changes for this thread only (rustix makes the system call itself).
fn ask_as(uid: u32, socket: PathBuf) -> Outcome {
    let asked = std::thread::spawn(move || {
        let uid = Uid::from_raw(uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        let stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut &stream, &mut body).unwrap();
        serde_json::from_slice::<Reply>(&body[4..]).unwrap().outcome
    });
    asked.join().unwrap()
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_socket_is_open_to_all() {
    if !geteuid().is_root() {
        assert!(
            std::env::var_os("CI").is_none(),
            "needs root to become another user"
        );
        eprintln!("skipped: needs root to become another user");
        return;
    }
    let served = serve(Limits::default());
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(served.home.path(), 0o755);
    open(served.path.parent().unwrap(), 0o755);
    open(&served.path, 0o666);
    let socket = served.path.clone();
    let told = tokio::task::spawn_blocking(|| ask_as(65534, socket)).await;
    let Outcome::Failed(Failure {
        code, reason, msg, ..
    }) = told.unwrap()
    else {
        panic!("served")
    };
    assert_eq!((code, &*reason), (100, "Forbidden"));
    assert!(msg.contains("65534"), "{msg}");
}
