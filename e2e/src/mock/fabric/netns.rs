//! A network namespace that is held open, and work done inside it on a thread of its own.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns};

use super::FabricError;

/// A network namespace. Held open, it lives on even if its name is removed meanwhile.
#[derive(Debug)]
pub(crate) struct Netns {
    path: PathBuf,
    file: File,
}

impl Netns {
    /// Opens the namespace at a path such as `/run/netns/n1` or `/proc/1234/ns/net`.
    pub(crate) fn open(path: &Path) -> Result<Self, FabricError> {
        match File::open(path) {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
            }),
            Err(source) => Err(FabricError::Namespace {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Makes a named namespace: `ip netns add NAME`.
    pub(crate) fn create(name: &str) -> Result<Self, FabricError> {
        run(Command::new("ip").args(["netns", "add", name]), "")?;
        Self::open(&Path::new("/run/netns").join(name))
    }

    /// Removes the name of a namespace that `create` made: `ip netns del NAME`.
    pub(crate) fn delete(&self) -> Result<(), FabricError> {
        let name = self.path.file_name().unwrap_or_default();
        run(Command::new("ip").args(["netns", "del"]).arg(name), "").map(drop)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A path that other processes of this machine can open as long as we hold the namespace.
    pub(crate) fn shared_path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Runs `work` on a thread that has entered the namespace and ends with it: no thread of the runtime is ever
    /// left in a foreign namespace. Sockets opened and processes started by `work` belong to the namespace.
    pub(crate) fn inside<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, FabricError> + Send,
    ) -> Result<T, FabricError> {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(&self.file, CloneFlags::CLONE_NEWNET).map_err(|errno| {
                        FabricError::Namespace {
                            path: self.path.clone(),
                            source: errno.into(),
                        }
                    })?;
                    work()
                })
                .join()
                .unwrap_or_else(|_| {
                    Err(FabricError::Namespace {
                        path: self.path.clone(),
                        source: io::Error::other("the thread inside it panicked"),
                    })
                })
        })
    }

    /// Runs these lines of `ip -batch -` in the namespace; stops at the first that fails.
    pub(crate) fn ip(&self, lines: &[String]) -> Result<(), FabricError> {
        if lines.is_empty() {
            return Ok(());
        }
        let batch = lines.join("\n") + "\n";
        self.inside(|| run(Command::new("ip").args(["-batch", "-"]), &batch).map(drop))
    }

    /// Runs `nft` in the namespace, with this on its standard input.
    pub(crate) fn nft(&self, args: &[&str], input: &str) -> Result<String, FabricError> {
        self.inside(|| run(Command::new("nft").args(args), input))
    }

    /// Writes `/proc/sys/net/...` as the namespace sees it: `sysctl -w net.KEY=VALUE`.
    pub(crate) fn sysctl(&self, settings: &[(&str, &str)]) -> Result<(), FabricError> {
        self.inside(|| {
            settings.iter().try_for_each(|(key, value)| {
                let path = Path::new("/proc/sys/net").join(key);
                std::fs::write(&path, value).map_err(|source| FabricError::Sysctl { path, source })
            })
        })
    }
}

/// Runs a program to its end and answers its standard output.
fn run(command: &mut Command, input: &str) -> Result<String, FabricError> {
    let shown = format!("{command:?}");
    let failed = |why: String| FabricError::Program {
        command: shown.clone(),
        input: input.to_owned(),
        why,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that stops reading says why on its standard error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(failed(format!("{}: {}", output.status, stderr.trim())))
    }
}
