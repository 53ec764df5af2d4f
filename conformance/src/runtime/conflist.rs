//! A network configuration list (`*.conflist`), read as libcni reads it: raw, so that plugins get every key.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

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
    /// Reads the list in the file `path`, or the single plugin there as a list of one. As libcni does from 1.3 on, the
    /// files `NAME/*.conf` beside it are appended, NAME being the network's, unless `loadOnlyInlinedPlugins` says not to.
    ///
    /// # Errors
    /// A file cannot be read or is no list; see [`Conflist::from_json`].
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let mut raw = read(path)?;
        if raw.get("plugins").is_none() && raw.get("type").is_some() {
            raw = json!({"name": raw["name"], "cniVersion": raw["cniVersion"], "plugins": [raw]});
        }
        let beside = path
            .parent()
            .zip(raw["name"].as_str())
            .map(|(dir, name)| dir.join(name));
        if let Some(dir) =
            beside.filter(|dir| dir.is_dir() && !says(&raw, "loadOnlyInlinedPlugins"))
        {
            let mut files: Vec<_> = fs::read_dir(&dir)?
                .map(|entry| Ok(entry?.path()))
                .collect::<std::io::Result<_>>()?;
            files.retain(|file| {
                file.extension()
                    .is_some_and(|extension| extension == "conf")
            });
            files.sort();
            for file in files {
                let plugin = read(&file)?;
                if raw["plugins"].is_null() {
                    raw["plugins"] = json!([]);
                }
                if let Some(plugins) = raw["plugins"].as_array_mut() {
                    plugins.push(plugin);
                }
            }
        }
        Self::from_json(raw).with_context(|| path.display().to_string())
    }

    /// Reads the list that containerd would take from its configuration directory: the first by name, and no other if that
    /// one cannot be used.
    ///
    /// # Errors
    /// There is none; see [`Conflist::load`].
    pub fn first_in(dir: &Path) -> anyhow::Result<Self> {
        let mut lists = Vec::new();
        for entry in fs::read_dir(dir)? {
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
        let version = chosen(&raw)?;
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

    /// Whether the member `key` is true; libcni takes texts for it too.
    pub(super) fn says(&self, key: &str) -> bool {
        says(&self.raw, key)
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

/// The version that a list is run in: of `cniVersions` and `cniVersion` the highest that this runtime speaks. A runtime
/// older than libcni 1.2 does not know `cniVersions`; for one, leave it out.
fn chosen(raw: &Value) -> anyhow::Result<Version> {
    let listed = raw["cniVersions"].as_array().into_iter().flatten();
    let offered: Vec<&str> = listed
        .chain([&raw["cniVersion"]])
        .filter_map(Value::as_str)
        .collect();
    if offered.is_empty() {
        bail!("the list has no cniVersion");
    }
    let spoken = offered.iter().filter_map(|name| Version::named(name)).max();
    spoken.with_context(|| format!("cniVersion {} is not supported", offered.join(", ")))
}

/// A boolean as libcni reads it: true, or a text that says so (strconv.ParseBool).
fn says(raw: &Value, key: &str) -> bool {
    match &raw[key] {
        Value::Bool(said) => *said,
        Value::String(text) => ["1", "t", "true"].contains(&text.to_ascii_lowercase().as_str()),
        _ => false,
    }
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn version_of(versions: Value) -> anyhow::Result<Version> {
        let mut list = json!({"name": "net", "plugins": [{"type": "a"}]});
        for (key, value) in versions.as_object().unwrap() {
            list[key] = value.clone();
        }
        Conflist::from_json(list).map(|list| list.version())
    }

    #[test]
    fn the_highest_version_that_is_spoken_is_chosen() {
        let all =
            json!({"cniVersion": "1.0.0", "cniVersions": ["0.4.0", "1.0.0", "1.1.0", "1.2.0"]});
        assert_eq!(version_of(all).unwrap(), Version::V1_1_0);
        let only = json!({"cniVersions": ["0.3.1", "0.4.0"]});
        assert_eq!(version_of(only).unwrap(), Version::V0_4_0);
        assert_eq!(
            version_of(json!({"cniVersion": "0.3.1"})).unwrap(),
            Version::V0_3_1
        );
        version_of(json!({"cniVersion": "9.9.9"})).unwrap_err();
        version_of(json!({})).unwrap_err();
    }

    #[test]
    fn flags_are_booleans_or_texts() {
        for (value, said) in [
            (json!(true), true),
            (json!("TRUE"), true),
            (json!("1"), true),
            (json!("FALSE"), false),
            (json!(1), false),
        ] {
            assert_eq!(
                says(&json!({"disableCheck": value}), "disableCheck"),
                said,
                "{value}"
            );
        }
    }

    #[test]
    fn files_beside_a_list_are_appended_and_a_single_plugin_is_a_list() {
        let dir = tempfile::tempdir().unwrap();
        let write =
            |name: &str, value: Value| fs::write(dir.path().join(name), value.to_string()).unwrap();
        let kinds = |name: &str| -> Vec<String> {
            let list = Conflist::load(&dir.path().join(name)).unwrap();
            list.plugins()
                .iter()
                .map(|plugin| plugin.kind().to_owned())
                .collect()
        };
        write(
            "a.conflist",
            json!({"name": "net", "cniVersion": "1.0.0", "plugins": [{"type": "a"}]}),
        );
        write(
            "b.conf",
            json!({"name": "one", "cniVersion": "1.0.0", "type": "b"}),
        );
        assert_eq!(kinds("b.conf"), ["b"]);
        fs::create_dir(dir.path().join("net")).unwrap();
        write("net/20.conf", json!({"type": "d"}));
        write("net/10.conf", json!({"type": "c"}));
        write("net/10.txt", json!({"type": "e"}));
        assert_eq!(kinds("a.conflist"), ["a", "c", "d"]);
        write(
            "a.conflist",
            json!({"name": "net", "cniVersion": "1.0.0", "plugins": [{"type": "a"}],
            "loadOnlyInlinedPlugins": "true"}),
        );
        assert_eq!(kinds("a.conflist"), ["a"]);
    }
}
