//! The plugin under test: its binary, its configuration, the lists it stands in, and what else must be said of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::case::Mode;
use crate::runtime::conflist::{Conflist, Version};

/// In texts of a configuration and of a description's commands: the directory of the session, for plugins that keep files.
pub const DIR: &str = "@dir@";

/// A plugin and all that the suite needs to know of it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The binary.
    pub binary: PathBuf,
    /// Its entry in a list, without `name`, `cniVersion` and `prevResult`.
    pub entry: Map<String, Value>,
    /// The network's name.
    pub network: String,
    /// Lists that it stands in among others, as they were given.
    pub lists: Vec<Value>,
    /// Where the other plugins of those lists are found, besides the binary's own directory.
    pub cni_path: Vec<PathBuf>,
    /// What was said of it.
    pub description: Description,
}

/// What a configuration cannot say of a plugin; a JSON file, each member of which may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Description {
    /// The modes that it works in: `creating`, `chained`. By default what the configuration shows.
    pub modes: Option<Vec<String>>,
    /// Directories with the other plugins of its lists.
    pub cni_path: Vec<PathBuf>,
    /// Verbs that it declares not to do (it then may do nothing), with the reason.
    pub declines: BTreeMap<String, String>,
    /// How its daemon is handled, if it has one.
    pub daemon: Option<DaemonCommands>,
    /// A command whose stdout must be the same before an ADD and after its DEL, in lines of any order: what the plugin
    /// holds that the kernel does not show.
    pub held: Option<Vec<String>>,
}

/// Commands, each a program and its arguments, that return when it is done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonCommands {
    /// Ends it, as a crash would.
    pub stop: Vec<String>,
    /// Starts it again and waits until it serves.
    pub start: Vec<String>,
    /// SIGSTOP: it is there and answers nobody.
    pub pause: Vec<String>,
    /// SIGCONT.
    pub resume: Vec<String>,
}

impl Description {
    /// Reads the file `path`.
    ///
    /// # Errors
    /// It cannot be read, is not JSON, or says what is not known.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}", path.display()))
    }
}

impl Subject {
    /// The plugin at `binary` with the configuration in the file `conf`: a plugin's own, or a list in which the entry
    /// whose `type` is the binary's name is meant.
    ///
    /// # Errors
    /// The binary or the file is not there, or the configuration does not name the plugin.
    pub fn load(binary: &Path, conf: &Path, description: Description) -> anyhow::Result<Self> {
        ensure!(binary.is_file(), "no plugin at {}", binary.display());
        let binary = binary.canonicalize()?;
        let document = read(conf)?;
        let list = document.get("plugins").map(|_| document.clone());
        let found = match &list {
            Some(list) => position(list, &binary).map(|at| list["plugins"][at].clone()),
            None => Some(document.clone()),
        };
        let entry = found.with_context(|| {
            let name = binary.file_name().unwrap_or_default().display();
            format!("no plugin of {} has the type {name:?}", conf.display())
        })?;
        let Value::Object(mut entry) = entry else {
            bail!("{} is no JSON object", conf.display());
        };
        for member in ["name", "cniVersion", "prevResult"] {
            entry.remove(member);
        }
        let network = document["name"]
            .as_str()
            .unwrap_or("conformance")
            .to_owned();
        let mut cni_path = vec![binary.parent().unwrap_or(Path::new("/")).to_owned()];
        cni_path.extend(description.cni_path.iter().cloned());
        Ok(Self {
            binary,
            entry,
            network,
            lists: list.into_iter().collect(),
            cni_path,
            description,
        })
    }

    /// Adds the list in the file `path`, in which the plugin stands somewhere.
    ///
    /// # Errors
    /// As [`Subject::load`].
    pub fn add_list(&mut self, path: &Path) -> anyhow::Result<()> {
        let list = read(path)?;
        let at = position(&list, &self.binary);
        at.with_context(|| format!("{} does not have the plugin", path.display()))?;
        self.lists.push(list);
        Ok(())
    }

    /// The modes to test in when nobody says: what the description says, or where the lists have it, or first.
    ///
    /// # Errors
    /// The description names one that there is not.
    pub fn modes(&self) -> anyhow::Result<Vec<Mode>> {
        if let Some(named) = &self.description.modes {
            let one = |name: &String| {
                <Mode as clap::ValueEnum>::from_str(name, false)
                    .map_err(|_| anyhow::anyhow!("there is no mode {name:?}"))
            };
            return named.iter().map(one).collect();
        }
        let mut modes: Vec<Mode> = self.lists.iter().map(|list| self.mode_in(list)).collect();
        modes.sort();
        modes.dedup();
        Ok(if modes.is_empty() {
            vec![Mode::Creating]
        } else {
            modes
        })
    }

    /// Where it stands in `list`.
    #[must_use]
    pub fn mode_in(&self, list: &Value) -> Mode {
        match position(list, &self.binary) {
            Some(0) | None => Mode::Creating,
            Some(_) => Mode::Chained,
        }
    }

    /// The plugins that stand before it in the first list that has some: what made its `prevResult`. `None`: the suite
    /// makes one.
    #[must_use]
    pub fn before(&self) -> Option<Vec<Value>> {
        let before = |list: &Value| {
            let at = position(list, &self.binary).filter(|at| *at > 0)?;
            Some(list["plugins"].as_array()?[..at].to_vec())
        };
        self.lists.iter().find_map(before)
    }

    /// `list` in `version`, with the session's directory put in.
    ///
    /// # Errors
    /// It is no list that the runtime can run.
    pub fn conflist(&self, list: &Value, version: Version, dir: &Path) -> anyhow::Result<Conflist> {
        let mut list = placed(list, dir);
        list["cniVersion"] = json!(version.as_str());
        list["name"] = json!(self.network);
        Conflist::from_json(list)
    }

    /// What the plugin reads in `version`, without a `prevResult`.
    #[must_use]
    pub fn config(&self, version: Version, dir: &Path) -> Value {
        let mut config = placed(&Value::Object(self.entry.clone()), dir);
        config["cniVersion"] = json!(version.as_str());
        config["name"] = json!(self.network);
        config
    }
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// Where in `list` the plugin `binary` stands.
fn position(list: &Value, binary: &Path) -> Option<usize> {
    let name = binary.file_name()?.to_str()?;
    let plugins = list["plugins"].as_array()?;
    plugins.iter().position(|plugin| plugin["type"] == name)
}

/// `value` with `dir` in the place of [`DIR`] in each text.
fn placed(value: &Value, dir: &Path) -> Value {
    match value {
        Value::String(text) => text.replace(DIR, &dir.display().to_string()).into(),
        Value::Array(items) => items.iter().map(|item| placed(item, dir)).collect(),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, value)| (key.clone(), placed(value, dir)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}
