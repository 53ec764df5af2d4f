//! Sandboxes: a network namespace each, made as a runtime makes them, in a millisecond. What is attached to them is the
//! contestants' work.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::Context;
use e2e::netns::NETNS_DIR;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// One sandbox; its namespace goes when it is dropped, which is not a DEL.
#[derive(Debug)]
pub struct Sandbox {
    path: PathBuf,
}

impl Sandbox {
    /// Makes one. Its loopback is down: a runtime's `loopback` plugin raises it, and nobody here needs it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new() -> anyhow::Result<Self> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("sandbox-{}-{serial}", std::process::id());
        let path = Path::new(NETNS_DIR).join(name);
        fs::create_dir_all(NETNS_DIR)?;
        File::create_new(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let sandbox = Self { path };
        sandbox
            .fill()
            .with_context(|| format!("cannot make the namespace {}", sandbox.path.display()))?;
        Ok(sandbox)
    }

    /// A namespace is a property of a thread: one is made on a thread of its own and bound to the file.
    fn fill(&self) -> io::Result<()> {
        let make = || -> io::Result<()> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let own = "/proc/thread-self/ns/net";
            let (bind, none) = (MsFlags::MS_BIND, None::<&str>);
            Ok(mount(Some(own), &self.path, none, bind, none)?)
        };
        let made = thread::scope(|scope| scope.spawn(make).join());
        made.unwrap_or_else(|_| Err(io::Error::other("the thread that made it died")))
    }

    /// What a runtime says as `CNI_NETNS`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // both fail only where it was not made
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        let _ = fs::remove_file(&self.path);
    }
}
