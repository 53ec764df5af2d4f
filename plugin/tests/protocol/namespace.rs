//! A network namespace of the test's own, held by a descriptor: it goes when the test goes.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::sched::{CloneFlags, unshare};

/// A fresh, empty network namespace.
pub struct Namespace(File);

impl Namespace {
    /// Makes one (`ip netns add`, without the name). None, with the reason printed, where the kernel does not permit it;
    /// with `CI` set that is a failure.
    pub fn new() -> Option<Self> {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok(File::open("/proc/thread-self/ns/net").unwrap())
        });
        match made.join().unwrap() {
            Ok(file) => Some(Self(file)),
            Err(error) => {
                let error: nix::Error = error;
                assert!(
                    std::env::var_os("CI").is_none(),
                    "cannot make a network namespace: {error}"
                );
                eprintln!("skipped: cannot make a network namespace: {error}");
                None
            }
        }
    }

    /// A path that any process may open as long as the test runs.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }

    /// Device and inode.
    pub fn identity(&self) -> (u64, u64) {
        identity(&self.0)
    }
}

/// Device and inode of an open file.
pub fn identity(file: &File) -> (u64, u64) {
    let metadata = file.metadata().unwrap();
    (metadata.dev(), metadata.ino())
}
