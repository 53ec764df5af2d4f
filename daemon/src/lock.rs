//! One owner of a node's addresses: a lock file beside the checkpoint, and a look for a running aws-node.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Where aws-node's daemon listens since its release 1.23.0 (`pkg/ipamd`, "ipamd.sock").
pub const AWS_NODE_SOCKET: &str = "/var/run/aws-node/ipamd.sock";

/// How long a daemon that ends may take: kubelet kills it after 10 s (terminationGracePeriodSeconds in deploy/). What one that
/// was killed had forked a moment before has the lock until its exec.
pub const OWNER_ENDS_WITHIN: Duration = Duration::from_secs(12);

/// Held as long as the daemon runs; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    /// Open, which is the lock.
    _file: File,
}

/// Why this daemon may not run here.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error("another berthd ({}) owns {}: stop it first", holder(*pid), path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who has it, as written in the file.
        pid: Option<u32>,
    },
    /// aws-node runs.
    #[error(
        "aws-node answers on {}: both would hand out the same addresses; remove the aws-node DaemonSet from this node first",
        socket.display()
    )]
    AwsNode {
        /// Its socket.
        socket: PathBuf,
    },
    /// The file system said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// The step.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock of `checkpoint`, `<checkpoint>.lock`, whose directory is made if it is missing. The file stays
    /// when the lock goes: removing it would let two daemons lock two files of one name. Another owner gets `patience`
    /// to end: a pod that is replaced by force still runs for a moment beside its successor.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process still has it then.
    pub async fn acquire(checkpoint: &Path, patience: Duration) -> Result<Self, LockError> {
        let path = checkpoint.with_added_extension("lock");
        let failed = |what| {
            let path = path.clone();
            move |source| LockError::Io { what, path, source }
        };
        let mut file = open(&path).map_err(failed("open"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let pid = read_pid(&mut file);
                tracing::warn!(pid, path = %path.display(), ?patience, "another berthd owns this, waiting for its end");
                let locked = timeout(patience, locked(&file)).await;
                let locked = locked.map_err(|_| LockError::Held {
                    path: path.clone(),
                    pid,
                })?;
                locked.map_err(failed("lock"))?;
            }
            Err(errno) => return Err(failed("lock")(errno.into())),
        }
        write_pid(&mut file).map_err(failed("write my pid into"))?;
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).open(path)
}

/// Waits for the lock on a thread that nobody waits for: should this be dropped before, the thread has it for a moment at
/// most, for the process is about to end.
async fn locked(file: &File) -> io::Result<()> {
    let waiting = file.try_clone()?;
    let (done, locked) = oneshot::channel();
    let wait = move || {
        let _ = done.send(flock(waiting, FlockOperation::LockExclusive));
    };
    std::thread::Builder::new()
        .name("berth-lock".to_owned())
        .spawn(wait)?;
    locked.await.map_err(io::Error::other)??;
    Ok(())
}

/// Refuses to run beside aws-node, whose daemon would answer on `socket` ([`AWS_NODE_SOCKET`]).
///
/// # Errors
/// [`LockError::AwsNode`], or the reason why that is not known.
pub fn refuse_beside_aws_node(socket: &Path) -> Result<(), LockError> {
    match answers(socket) {
        Ok(false) => Ok(()),
        Ok(true) => Err(LockError::AwsNode {
            socket: socket.into(),
        }),
        Err(source) => Err(LockError::Io {
            what: "look for aws-node on",
            path: socket.into(),
            source,
        }),
    }
}

/// Whether somebody listens on the unix socket at `path`. Does not wait: a listener whose backlog is full is one.
///
/// # Errors
/// Those of connect(2) that do not answer the question, such as EACCES.
pub fn answers(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        // No name, no listener behind it, or no socket at all.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::CONNREFUSED) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}"))
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// What no test waits for.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn the_second_owner_is_told_the_first_ones_pid() {
        let home = tempfile::tempdir().unwrap();
        let checkpoint = home.path().join("aws-node/ipam.json");
        let first = Lock::acquire(&checkpoint, LONG).await.unwrap();
        let short = Duration::from_millis(10);
        let refused = Lock::acquire(&checkpoint, short).await.unwrap_err();
        let LockError::Held { pid, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!(*pid, Some(std::process::id()));
        assert!(refused.to_string().contains("ipam.json.lock"), "{refused}");
        drop(first);
        Lock::acquire(&checkpoint, LONG).await.unwrap();
    }

    #[tokio::test]
    async fn an_owner_that_ends_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let checkpoint = home.path().join("ipam.json");
        let first = Lock::acquire(&checkpoint, LONG).await.unwrap();
        let (waited, ()) = tokio::join!(Lock::acquire(&checkpoint, LONG), async {
            // The other one has looked already: these two take turns on one thread.
            tokio::task::yield_now().await;
            drop(first);
        });
        let _second = waited.unwrap();
        Lock::acquire(&checkpoint, Duration::ZERO)
            .await
            .unwrap_err();
    }

    #[tokio::test]
    async fn a_leftover_lock_file_is_no_owner() {
        let home = tempfile::tempdir().unwrap();
        let checkpoint = home.path().join("ipam.json");
        std::fs::write(home.path().join("ipam.json.lock"), "4000000000 and more").unwrap();
        drop(Lock::acquire(&checkpoint, Duration::ZERO).await.unwrap());
        let text = std::fs::read_to_string(home.path().join("ipam.json.lock")).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn only_an_aws_node_that_answers_is_in_the_way() {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("ipamd.sock");
        refuse_beside_aws_node(&socket).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let refused = refuse_beside_aws_node(&socket).unwrap_err();
        assert!(
            matches!(refused, LockError::AwsNode { .. }) && refused.to_string().contains("remove"),
            "{refused}"
        );
        drop(listener);
        refuse_beside_aws_node(&socket).unwrap();
    }

    #[test]
    fn a_listener_that_never_accepts_still_counts() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("full.sock");
        let flags = SocketFlags::CLOEXEC;
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
        assert!(answers(&path).unwrap());
    }
}
