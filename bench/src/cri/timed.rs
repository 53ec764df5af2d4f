//! How long plugins take under a runtime that says nothing about it: a program in front of each writes it down.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::node::programs::find;

/// The program in front (`bench/floor/src/timed.rs`).
const WRAPPER: &str = "timed-plugin";

/// A directory of plugins with the wrapper in front of each.
#[derive(Debug)]
pub(super) struct Timed {
    dir: PathBuf,
}

/// One run of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PluginTime {
    pub(super) plugin: String,
    /// `CNI_COMMAND`.
    pub(super) verb: String,
    pub(super) took: Duration,
}

impl Timed {
    /// Puts the wrapper in front of `plugins`, in `dir`, which runtime and bench know by the same path.
    pub(super) fn install(dir: PathBuf, plugins: &[PathBuf]) -> anyhow::Result<Self> {
        let wrapper = find(WRAPPER)?;
        let (bin, real) = (dir.join("bin"), dir.join("real"));
        for directory in [&bin, &real] {
            fs::create_dir_all(directory)?;
        }
        for plugin in plugins {
            let name = plugin.file_name().context("a plugin without a name")?;
            fs::copy(plugin, real.join(name))
                .with_context(|| format!("cannot copy {}", plugin.display()))?;
            fs::copy(&wrapper, bin.join(name))?;
        }
        Ok(Self { dir })
    }

    /// Where the wrapped plugins are.
    pub(super) fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// Lets a runtime that looks into `there` find the wrapped plugins.
    pub(super) fn link_from(&self, there: &Path) -> anyhow::Result<()> {
        for plugin in fs::read_dir(self.bin())? {
            let (target, name) = plugin.map(|plugin| (plugin.path(), plugin.file_name()))?;
            let link = there.join(name);
            if link.exists() {
                fs::remove_file(&link)?;
            }
            symlink(target, link)?;
        }
        Ok(())
    }

    /// What ran since this was asked last, in the order in which they ended.
    pub(super) fn take(&self) -> anyhow::Result<Vec<PluginTime>> {
        let path = self.dir.join("times");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, "")?;
        text.lines().map(read).collect()
    }
}

fn read(line: &str) -> anyhow::Result<PluginTime> {
    let words: Vec<&str> = line.split(' ').collect();
    ensure!(words.len() == 3, "the wrapper wrote {line:?}");
    Ok(PluginTime {
        plugin: words[0].to_owned(),
        verb: words[1].to_owned(),
        took: Duration::from_micros(words[2].parse()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_wrapper_writes() -> anyhow::Result<()> {
        let expected = PluginTime {
            plugin: "berth-cni".to_owned(),
            verb: "ADD".to_owned(),
            took: Duration::from_micros(1234),
        };
        assert_eq!(read("berth-cni ADD 1234")?, expected);
        assert!(read("berth-cni 1234").is_err());
        assert!(read("berth-cni ADD soon").is_err());
        Ok(())
    }
}
