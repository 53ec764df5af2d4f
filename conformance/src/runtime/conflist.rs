//! A network configuration list (`*.conflist`), read as libcni reads it: raw, so that plugins get every key.

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// The versions of the CNI specification that berth speaks, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 0.3.1
    V0_3_1,
    /// 0.4.0: CHECK, and `prevResult` on DEL.
    V0_4_0,
    /// 1.0.0: `ips[].version` is gone.
    V1_0_0,
    /// 1.1.0: STATUS and GC.
    V1_1_0,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::V0_3_1, Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];

    /// As written in `cniVersion`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The version of exactly this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == name)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A configuration list.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflist {
    name: String,
    version: Version,
    plugins: Vec<PluginConf>,
    raw: Value,
}

/// One entry of `plugins`.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConf {
    kind: String,
    entry: Map<String, Value>,
}

impl Conflist {
    /// Reads the list in the file `path`.
    ///
    /// # Errors
    /// The file cannot be read or is no list; see [`Conflist::from_json`].
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let raw = serde_json::from_str(&text)
            .with_context(|| format!("{} is not JSON", path.display()))?;
        Self::from_json(raw).with_context(|| path.display().to_string())
    }

    /// Reads the list that containerd would take from its configuration directory: the first by name, and no other if that
    /// one cannot be used.
    ///
    /// # Errors
    /// There is none; see [`Conflist::load`].
    pub fn first_in(dir: &Path) -> anyhow::Result<Self> {
        let mut lists = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if matches!(extension, Some("conf" | "conflist" | "json")) {
                lists.push(path);
            }
        }
        let first = lists.iter().min();
        Self::load(first.with_context(|| format!("no list in {}", dir.display()))?)
    }

    /// Takes `raw` for a list.
    ///
    /// # Errors
    /// It has no name, a version that this runtime does not speak, no plugins, or a plugin without `type`.
    pub fn from_json(raw: Value) -> anyhow::Result<Self> {
        let name = raw["name"]
            .as_str()
            .filter(|name| !name.is_empty())
            .context("the list has no name")?;
        let wanted = raw["cniVersion"]
            .as_str()
            .context("the list has no cniVersion")?;
        let version = Version::named(wanted)
            .with_context(|| format!("cniVersion {wanted} is not supported"))?;
        let entries = raw["plugins"]
            .as_array()
            .context("the list has no plugins")?;
        if entries.is_empty() {
            bail!("the list has no plugins");
        }
        let plugins = entries
            .iter()
            .map(PluginConf::from_json)
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            name: name.to_owned(),
            version,
            plugins,
            raw: raw.clone(),
        })
    }

    /// The network's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that all plugins of the list are given.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The plugins in the order of ADD.
    #[must_use]
    pub fn plugins(&self) -> &[PluginConf] {
        &self.plugins
    }

    /// The list as it was read.
    #[must_use]
    pub fn raw(&self) -> &Value {
        &self.raw
    }
}

impl PluginConf {
    fn from_json(entry: &Value) -> anyhow::Result<Self> {
        let entry = entry
            .as_object()
            .context("a plugin's entry is no object")?
            .clone();
        let kind = entry
            .get("type")
            .and_then(Value::as_str)
            .context("a plugin has no type")?;
        Ok(Self {
            kind: kind.to_owned(),
            entry,
        })
    }

    /// `type`: the name of the plugin's binary.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether `capabilities` declares `name` as true.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.entry
            .get("capabilities")
            .is_some_and(|all| all[name] == true)
    }

    pub(super) fn entry(&self) -> &Map<String, Value> {
        &self.entry
    }
}
