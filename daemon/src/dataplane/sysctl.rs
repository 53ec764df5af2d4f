//! Sysctls of this network namespace, by files under a root that is a setting: in an unprivileged container `/proc/sys` is
//! read-only and the node's own is mounted elsewhere.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::DataplaneError;

/// Where sysctls are.
#[derive(Clone, Debug)]
pub(super) struct Sysctls {
    proc_root: PathBuf,
}

impl Sysctls {
    pub(super) fn new(proc_root: PathBuf) -> Self {
        Self { proc_root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.proc_root.join("sys").join(name)
    }

    /// `sysctl -w <name>=<value>`, with slashes for dots; whether it was different.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<bool, DataplaneError> {
        let path = self.path(name);
        // Reading first: a file that cannot be written is no error if it says the right thing already.
        if fs::read_to_string(&path).is_ok_and(|current| current.trim_end() == value) {
            return Ok(false);
        }
        match fs::write(&path, value) {
            Ok(()) => Ok(true),
            Err(source) => Err(DataplaneError::Sysctl {
                path: path.display().to_string(),
                value: value.to_owned(),
                source,
            }),
        }
    }

    /// The same without a look before, for a link that was made a moment ago: what it says is the default.
    pub(super) fn put_if_present(&self, name: &str, value: &str) -> Result<(), DataplaneError> {
        match fs::write(self.path(name), value) {
            Ok(()) => Ok(()),
            Err(_) => self.set_if_present(name, value).map(drop),
        }
    }

    /// The same for a feature that this kernel may not have: a missing file needs no value.
    pub(super) fn set_if_present(&self, name: &str, value: &str) -> Result<bool, DataplaneError> {
        match self.set(name, value) {
            Err(DataplaneError::Sysctl { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(false)
            }
            result => result,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_different_value_is_written() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("sys/net/ipv4");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("ip_forward"), "0\n").unwrap();
        let sysctls = Sysctls::new(root.path().to_owned());
        assert!(sysctls.set("net/ipv4/ip_forward", "1").unwrap());
        assert_eq!(fs::read_to_string(dir.join("ip_forward")).unwrap(), "1");
        assert!(!sysctls.set("net/ipv4/ip_forward", "1").unwrap());
        sysctls.put_if_present("net/ipv4/ip_forward", "0").unwrap();
        assert_eq!(fs::read_to_string(dir.join("ip_forward")).unwrap(), "0");
    }

    #[test]
    fn a_missing_file_is_an_error_only_where_it_must_exist() {
        let root = tempfile::tempdir().unwrap();
        let sysctls = Sysctls::new(root.path().to_owned());
        let error = sysctls.set("net/ipv4/ip_forward", "1").unwrap_err();
        assert!(error.to_string().contains("net/ipv4/ip_forward"));
        assert!(!sysctls.set_if_present("net/ipv6/x", "0").unwrap());
        sysctls.put_if_present("net/ipv6/x", "0").unwrap();
    }
}
