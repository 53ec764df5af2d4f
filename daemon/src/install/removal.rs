//! Uninstalling: the list first, so that no new pod comes to a plugin that is about to go, then the plugin. What pods live
//! on (links, routes, rules, ENIs, the checkpoint) stays, and is named.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::binary::{self, Found};
use super::{InstallError, lock, say};
use crate::conflist::{FILE, PLUGIN, PublishError, other_lists, read_ours};
use crate::lock::answers;
use crate::replace::{clear, sync};

/// What is where.
#[derive(Clone, Debug)]
pub struct Uninstall {
    /// The runtime's plugin directory.
    pub bin_dir: PathBuf,
    /// The runtime's configuration directory.
    pub conf_dir: PathBuf,
    /// Where berthd would answer.
    pub socket: PathBuf,
    /// The checkpoint: it says how many pods live by it.
    pub checkpoint: PathBuf,
}

/// Removes the list and the plugin, those of them that are berth's. Does nothing where nothing is installed.
///
/// # Errors
/// [`InstallError`]. A file that is somebody else's is no error: it stays and is named.
pub fn uninstall(what: &Uninstall, out: &mut dyn Write) -> Result<(), InstallError> {
    if answers(&what.socket).map_err(InstallError::io("look for berthd on", &what.socket))? {
        let socket = what.socket.clone();
        return Err(InstallError::Runs { socket });
    }
    let _lock = lock(&what.bin_dir)?;
    let next = other_lists(&what.conf_dir)?.into_iter().next();
    let mut text = list(what)?;
    text.push_str(&plugin(what)?);
    text.push_str(&match next {
        Some(next) => format!("The runtime uses {next} now.\n"),
        None => format!(
            "No list is left in {}: the node is not ready, and pods cannot be deleted, until another network is there.\n",
            what.conf_dir.display()
        ),
    });
    text.push_str(&stays(&what.checkpoint));
    say(out, &text)
}

fn list(what: &Uninstall) -> Result<String, InstallError> {
    let path = what.conf_dir.join(FILE);
    Ok(match read_ours(&what.conf_dir) {
        Ok(true) => removed(&path)?,
        Ok(false) => format!("{} is not there\n", path.display()),
        Err(PublishError::NotOurs { why, .. }) => {
            format!("{} stays, it is not berth's: {why}\n", path.display())
        }
        Err(error) => return Err(error.into()),
    })
}

fn plugin(what: &Uninstall) -> Result<String, InstallError> {
    let path = what.bin_dir.join(PLUGIN);
    Ok(match binary::look(&path)? {
        Found::Ours(_) => removed(&path)?,
        Found::Nothing => format!("{} is not there\n", path.display()),
        Found::Other => format!("{} stays, it is not berth's plugin\n", path.display()),
    })
}

/// Removes a file and what a killed writer has left of it.
fn removed(path: &Path) -> Result<String, InstallError> {
    std::fs::remove_file(path).map_err(InstallError::io("remove", path))?;
    clear(path)?;
    if let Some(dir) = path.parent() {
        sync(dir)?;
    }
    Ok(format!("{} removed\n", path.display()))
}

fn stays(checkpoint: &Path) -> String {
    let pods = std::fs::read(checkpoint)
        .ok()
        .and_then(|content| serde_json::from_slice::<Value>(&content).ok())
        .and_then(|document| Some(document.get("allocations")?.as_array()?.len()));
    let pods = match pods {
        Some(1) => "1 pod".to_owned(),
        Some(pods) => format!("{pods} pods"),
        None => "pods".to_owned(),
    };
    format!(
        "What {pods} of this node live on stays: links, routes, rules, the nft table `ip berth`, the ENIs with their addresses, and {}.\n",
        checkpoint.display()
    )
}
