//! `berthd install` and `berthd uninstall`: the plugin's file in the runtime's plugin directory, and at the end the list
//! that names it. Only files that are berth's are ever replaced or removed; what runs on the node is not touched. The list
//! is written by `berthd run` ([`crate::conflist`]), once an ADD can be served.

mod binary;
mod removal;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

pub use removal::{Uninstall, uninstall};

use crate::conflist::{ConflistSettings, PLUGIN, PublishError, missing};
use crate::lock::{LockError, refuse_beside_aws_node};
use crate::replace::{ReplaceError, clear};
use binary::Found;

/// Why nothing, or not all, was installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// aws-node runs.
    #[error(transparent)]
    AwsNode(#[from] LockError),
    /// berthd runs.
    #[error(
        "berthd answers on {}: it would write the conflist again; stop it on this node first (kubectl -n kube-system delete daemonset berth)",
        socket.display()
    )]
    Runs {
        /// Its socket.
        socket: PathBuf,
    },
    /// The plugin directory is not there.
    #[error(
        "{} does not exist: mount the host's /opt/cni/bin there, or set HOST_CNI_BIN_PATH",
        dir.display()
    )]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// Another one is at it.
    #[error("another berthd installs into {} right now: try again", dir.display())]
    Busy {
        /// The directory.
        dir: PathBuf,
    },
    /// What is to be installed is not berth's plugin.
    #[error("{} is not berth's plugin: name it with --plugin", path.display())]
    NotPlugin {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else's file.
    #[error("{} is not berth's plugin: move it away, berth does not overwrite it", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The configuration directory.
    #[error(transparent)]
    Conflist(#[from] PublishError),
    /// The plugin cannot be written.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
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
    /// Nobody can be told.
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),
}

impl InstallError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// Puts the plugin at `plugin` where the runtime looks for it; a plugin of berth that is there is replaced, also while it
/// runs, and one that is the same is left. `aws_node` is where aws-node would answer.
///
/// # Errors
/// [`InstallError`]; then everything is as it was.
pub fn install(
    settings: &ConflistSettings,
    plugin: &Path,
    aws_node: &Path,
    out: &mut dyn Write,
) -> Result<(), InstallError> {
    refuse_beside_aws_node(aws_node)?;
    let _lock = lock(&settings.bin_dir)?;
    let content = std::fs::read(plugin).map_err(InstallError::io("read", plugin))?;
    if !binary::is_ours(&content) {
        let path = plugin.to_owned();
        return Err(InstallError::NotPlugin { path });
    }
    let target = settings.bin_dir.join(PLUGIN);
    let done = match binary::look(&target)? {
        Found::Ours(old) if binary::is_as(&target, &old, &content)? => {
            clear(&target)?;
            "is up to date"
        }
        Found::Ours(_) => {
            binary::put(&target, &content)?;
            "replaced"
        }
        Found::Nothing => {
            binary::put(&target, &content)?;
            "installed"
        }
        Found::Other => return Err(InstallError::NotOurs { path: target }),
    };
    let mut text = format!("{} {done}\n", target.display());
    for name in missing(settings) {
        text.push_str(&format!(
            "{name} is missing in {}: the conflist names it, so it is not written before it is there\n",
            settings.bin_dir.display()
        ));
    }
    say(out, &text)
}

/// One at a time on a directory: two would share the temporary name. The kernel lets go of it when the process ends.
fn lock(dir: &Path) -> Result<File, InstallError> {
    let file = match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let dir = dir.to_owned();
            return Err(InstallError::NoDirectory { dir });
        }
        opened => opened.map_err(InstallError::io("open", dir))?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => {
            let dir = dir.to_owned();
            Err(InstallError::Busy { dir })
        }
        Err(errno) => Err(InstallError::io("lock", dir)(errno.into())),
    }
}

fn say(out: &mut dyn Write, text: &str) -> Result<(), InstallError> {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(InstallError::Output)
}
