//! A host's two directories of CNI in a temporary one, for the tests of what berth writes there.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use super::{Chain, ConflistSettings};

/// The host. Each theme's tests add what they do with it.
pub(crate) struct Host {
    /// What holds the directories; sockets and the like have room beside them.
    pub(crate) home: tempfile::TempDir,
    /// The directories, and the usual list.
    pub(crate) settings: ConflistSettings,
}

impl Host {
    /// A host with these plugins and no list.
    pub(crate) fn with_plugins<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let settings = ConflistSettings {
            write: true,
            conf_dir: home.path().join("net.d"),
            bin_dir: home.path().join("bin"),
            chain: Chain::default(),
        };
        fs::create_dir(&settings.conf_dir).unwrap();
        fs::create_dir(&settings.bin_dir).unwrap();
        for name in names {
            fs::write(settings.bin_dir.join(name), "program").unwrap();
        }
        Self { home, settings }
    }

    /// Puts a file among the lists.
    pub(crate) fn put_list(&self, name: &str, content: &str) {
        fs::write(self.settings.conf_dir.join(name), content).unwrap();
    }

    /// The lists' names, sorted.
    pub(crate) fn lists(&self) -> Vec<String> {
        names(&self.settings.conf_dir)
    }

    /// The plugins' names, sorted.
    pub(crate) fn plugins(&self) -> Vec<String> {
        names(&self.settings.bin_dir)
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
