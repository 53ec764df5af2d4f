//! The plugin's file: whose it is, and putting it there.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use berth_cni::contract::PLUGIN_MARK;

use super::InstallError;
use crate::replace::replace;

/// As the other plugins have it.
const MODE: u32 = 0o755;

/// What stands under the plugin's name.
pub(super) enum Found {
    /// No file.
    Nothing,
    /// A release of berth's plugin, with this content.
    Ours(Vec<u8>),
    /// Anything else.
    Other,
}

/// Looks.
pub(super) fn look(path: &Path) -> Result<Found, InstallError> {
    match std::fs::read(path) {
        Ok(content) if is_ours(&content) => Ok(Found::Ours(content)),
        Ok(_) => Ok(Found::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        // What stands there is no file.
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(Found::Other),
        Err(error) => Err(InstallError::io("read", path)(error)),
    }
}

/// Whether a program is berth's plugin, of whatever release: it has in it what it says of itself.
pub(super) fn is_ours(content: &[u8]) -> bool {
    let mark = PLUGIN_MARK.as_bytes();
    content.windows(mark.len()).any(|window| window == mark)
}

/// Whether the file, which has the content `old`, has this content and may be executed.
pub(super) fn is_as(path: &Path, old: &[u8], content: &[u8]) -> Result<bool, InstallError> {
    let metadata = path.metadata().map_err(InstallError::io("look at", path))?;
    Ok(old == content && metadata.permissions().mode() & 0o7777 == MODE)
}

/// Replaces the file by rename: pods that are being set up by the old program at this moment are not disturbed.
pub(super) fn put(path: &Path, content: &[u8]) -> Result<(), InstallError> {
    Ok(replace(path, content, MODE)?)
}
