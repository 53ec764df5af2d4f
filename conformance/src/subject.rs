//! The plugin under test: its binary, its configuration, the lists it stands in, and what else must be said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::case::Mode;
use crate::netns::Netns;
use crate::pod::LABEL;
use crate::runtime::conflist::{Conflist, Version};

/// In texts of a configuration and of a description's commands: a directory of the case, for plugins
/// that keep files.
pub const DIR: &str = "@dir@";

/// In the same texts: the name of the host's namespace, where the session is given hosts.
pub const HOST: &str = "@host@";

/// A plugin and all that the suite needs to know of it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The binary.
    pub binary: PathBuf,
    /// Its entry in a list, without `name`, `cniVersion` and `prevResult`.
    pub entry: Map<String, Value>,
    /// The network's name.
    pub network: String,
    /// The plugins before it in the list that is its configuration: what makes its `prevResult`. None: the suite does.
    pub before: Vec<Value>,
    /// Lists that it stands in among others, as they were given.
    pub lists: Vec<Value>,
    /// Where the other plugins of those lists are found, besides the binary's own directory.
    pub cni_path: Vec<PathBuf>,
    /// What was said of it.
    pub description: Description,
    spoken: BTreeMap<String, Vec<Version>>,
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
    /// Members that make its configuration wrong, one object a mistake.
    pub malformed: Vec<Map<String, Value>>,
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

    /// Each word of each command.
    fn commands_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let daemon = self.daemon.iter_mut().flat_map(|daemon| {
            [
                &mut daemon.stop,
                &mut daemon.start,
                &mut daemon.pause,
                &mut daemon.resume,
            ]
        });
        daemon.chain(self.held.as_mut()).flatten()
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
        let before = list.as_ref().and_then(|list| {
            Some(list["plugins"].as_array()?[..position(list, &binary)?].to_vec())
        });
        let mut cni_path = vec![binary.parent().unwrap_or(Path::new("/")).to_owned()];
        cni_path.extend(description.cni_path.iter().cloned());
        Ok(Self {
            binary,
            entry,
            network,
            before: before.unwrap_or_default(),
            lists: list.into_iter().collect(),
            cni_path,
            description,
            spoken: BTreeMap::new(),
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

    /// Asks each plugin of the lists for the versions that it speaks.
    ///
    /// # Errors
    /// One is not there or cannot be run.
    pub fn ask_all(&mut self) -> anyhow::Result<()> {
        let plugins = self
            .lists
            .iter()
            .flat_map(|list| list["plugins"].as_array().into_iter().flatten());
        let kinds: BTreeSet<&str> = plugins
            .filter_map(|plugin| plugin["type"].as_str())
            .collect();
        let mut spoken = BTreeMap::new();
        for kind in kinds {
            let found = self
                .cni_path
                .iter()
                .map(|dir| dir.join(kind))
                .find(|path| path.is_file());
            let binary =
                found.with_context(|| format!("no plugin {kind} in {:?}", self.cni_path))?;
            spoken.insert(kind.to_owned(), versions_of(&binary)?);
        }
        self.spoken = spoken;
        Ok(())
    }

    /// Whether the plugin `kind` of a list speaks `version` ([`Subject::ask_all`] has found out).
    #[must_use]
    pub fn speaks(&self, kind: &str, version: Version) -> bool {
        self.spoken
            .get(kind)
            .is_some_and(|versions| versions.contains(&version))
    }

    /// The same plugin on the host whose namespace has that `name`.
    #[must_use]
    pub fn on_host(&self, name: &str) -> Self {
        let on = |value: &Value| replaced(value, HOST, name);
        let mut subject = self.clone();
        for value in subject.entry.values_mut() {
            *value = on(value);
        }
        for list in subject.before.iter_mut().chain(&mut subject.lists) {
            *list = on(list);
        }
        for word in subject.description.commands_mut() {
            *word = word.replace(HOST, name);
        }
        subject
    }

    /// Where it stands in `list`.
    #[must_use]
    pub fn mode_in(&self, list: &Value) -> Mode {
        match position(list, &self.binary) {
            Some(0) | None => Mode::Creating,
            Some(_) => Mode::Chained,
        }
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

/// The versions that the plugin `binary` names when it is asked (the verb VERSION), as far as the suite knows them; none
/// if it gives no such answer.
///
/// # Errors
/// It cannot be run.
pub fn versions_of(binary: &Path) -> anyhow::Result<Vec<Version>> {
    let config = json!({"cniVersion": Version::V1_0_0.as_str()});
    let call = Call::bare(binary, "VERSION").with_config(config);
    let answer = call.start(&Netns::unique(LABEL)?)?.finish()?;
    let document = answer.result().unwrap_or_default();
    let named = |version: &Version| {
        let list = document["supportedVersions"].as_array();
        list.is_some_and(|list| list.iter().any(|one| one == version.as_str()))
    };
    Ok(Version::ALL.into_iter().filter(named).collect())
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
    replaced(value, DIR, &dir.display().to_string())
}

/// `value` with `text` in the place of `mark` in each text.
fn replaced(value: &Value, mark: &str, text: &str) -> Value {
    let deeper = |value: &Value| replaced(value, mark, text);
    match value {
        Value::String(words) => words.replace(mark, text).into(),
        Value::Array(items) => items.iter().map(deeper).collect(),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, value)| (key.clone(), deeper(value)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}
