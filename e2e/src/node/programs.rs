//! Where the programs under test lie. Nothing is built here: `make build` does.

use std::path::{Path, PathBuf};

use anyhow::ensure;

/// The daemon's binary.
pub const BERTHD: &str = "berthd";

/// The plugin's binary, and its `type` in a conflist.
pub const BERTH_CNI: &str = "berth-cni";

/// Where Debian's containernetworking-plugins puts its binaries.
pub const DEBIAN_PLUGINS: &str = "/usr/lib/cni";

/// The directory with berth's programs: `BERTH_BIN_DIR`, or target/berth in this workspace.
#[must_use]
pub fn bin_dir() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/berth");
    std::env::var_os("BERTH_BIN_DIR").map_or_else(built, PathBuf::from)
}

/// `CNI_PATH`: berth's plugin, then Debian's.
#[must_use]
pub fn cni_path() -> Vec<PathBuf> {
    vec![bin_dir(), PathBuf::from(DEBIAN_PLUGINS)]
}

/// The path of one of berth's programs.
///
/// # Errors
/// It is not there; says what makes it.
pub fn find(program: &str) -> anyhow::Result<PathBuf> {
    let path = bin_dir().join(program);
    ensure!(
        path.is_file(),
        "{} is not there: run `make build`, or set BERTH_BIN_DIR",
        path.display()
    );
    Ok(path)
}
