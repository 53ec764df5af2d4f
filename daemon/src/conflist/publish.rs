//! The files of the configuration directory: what is there, and putting the list there. One look and at most one write a
//! call; when to call is the parent's.

use std::io;
use std::path::{Path, PathBuf};

use super::document::{self, Change, NotOurs};
use super::{ConflistSettings, FILE};
use crate::replace::{ReplaceError, replace};

/// As aws-node's: other agents of the node read it.
const MODE: u32 = 0o644;
/// What the runtimes take for a configuration (libcni; containerd and CRI-O ask it for these).
const EXTENSIONS: [&str; 3] = ["conf", "conflist", "json"];

/// The list stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Whether it had to be written for that.
    pub written: bool,
    /// A file that the runtime takes instead, since its name sorts before.
    pub before: Option<String>,
}

/// Why the list does not stand as it should.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The directory is not there.
    #[error(
        "{} does not exist: mount the host's /etc/cni/net.d there or set HOST_CNI_CONFDIR_PATH, or BERTH_WRITE_CONFLIST=false if something else writes the list",
        dir.display()
    )]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// Every ADD would fail.
    #[error(
        "{} missing in {}: `berthd install` puts berth-cni there, the node's CNI plugins package the others; or set HOST_CNI_BIN_PATH",
        names.join(", "), dir.display()
    )]
    MissingPlugins {
        /// Where they should be.
        dir: PathBuf,
        /// Which ones.
        names: Vec<&'static str>,
    },
    /// Somebody else's file.
    #[error(
        "{} was not written by berth ({why}): move it away, berth does not overwrite it",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// How that is known.
        why: NotOurs,
    },
    /// The directory or the file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
    /// The daemon stops.
    #[error("the daemon stops")]
    Stopping,
}

/// Makes the list say what it should.
///
/// # Errors
/// [`PublishError`]; then nothing was changed.
pub fn publish(settings: &ConflistSettings) -> Result<Published, PublishError> {
    let before = other_lists(&settings.conf_dir)?
        .into_iter()
        .find(|name| name.as_str() < FILE);
    let names = missing(settings);
    if !names.is_empty() {
        let dir = settings.bin_dir.clone();
        return Err(PublishError::MissingPlugins { dir, names });
    }
    let path = settings.path();
    let found = read(&path)?;
    let change = document::change(&settings.chain, found.as_deref());
    let written = match change.map_err(|why| PublishError::NotOurs {
        path: path.clone(),
        why,
    })? {
        Change::None => false,
        Change::Write(document) => {
            replace(&path, &document, MODE)?;
            true
        }
    };
    Ok(Published { written, before })
}

/// The plugins of the list that have no file in the plugin directory.
pub fn missing(settings: &ConflistSettings) -> Vec<&'static str> {
    let mut names = document::plugins(&settings.chain);
    names.retain(|name| !settings.bin_dir.join(name).is_file());
    names
}

/// Whether there is a list of berth's.
///
/// # Errors
/// [`PublishError::NotOurs`] if the file is somebody else's.
pub fn read_ours(conf_dir: &Path) -> Result<bool, PublishError> {
    let path = conf_dir.join(FILE);
    match read(&path)?.map(|content| document::decode(&content)) {
        None => Ok(false),
        Some(Ok(_)) => Ok(true),
        Some(Err(why)) => Err(PublishError::NotOurs { path, why }),
    }
}

/// The names of all configurations but berth's, in the order in which the runtimes take them.
///
/// # Errors
/// The directory is not there, or cannot be read.
pub fn other_lists(conf_dir: &Path) -> Result<Vec<String>, PublishError> {
    let failed = |source: io::Error| {
        let path = conf_dir.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => PublishError::NoDirectory { dir: path },
            _ => PublishError::Read { path, source },
        }
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(conf_dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let extension = Path::new(&name).extension();
        if EXTENSIONS
            .iter()
            .any(|known| extension == Some(known.as_ref()))
            && name != FILE
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, PublishError> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PublishError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}
