//! A chain of CNI plugins as a contestant, each plugin executed as libcni does: berth's own, Debian's, anybody's.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use e2e::netns::Netns;
use e2e::node::programs::{BERTH_CNI, cni_path};
use e2e::node::{NETWORK, Node};
use e2e::runtime::conflist::Conflist;
use serde_json::{Map, Value, json};

use super::contestant::{Contestant, Pod, Spent};
use super::program::{Running, start};

/// What berth is called in rows.
pub const BERTH: &str = "berth";

/// A chain on a node.
#[derive(Debug)]
pub struct Chain<'a> {
    name: String,
    node: &'a Netns,
    cni_path: String,
    plugins: Vec<Plugin>,
}

#[derive(Debug)]
struct Plugin {
    kind: String,
    binary: PathBuf,
    /// Its entry with the list's name and version; `prevResult` comes to it.
    config: Map<String, Value>,
}

impl<'a> Chain<'a> {
    /// The chain `list`, with its programs looked for in `directories`.
    ///
    /// # Errors
    /// A program is in none of them.
    pub fn new(
        name: &str,
        node: &'a Netns,
        list: &Conflist,
        directories: &[PathBuf],
    ) -> anyhow::Result<Self> {
        let paths: Vec<String> = directories
            .iter()
            .map(|d| d.display().to_string())
            .collect();
        let entries = list.raw()["plugins"].as_array();
        let entries = entries.map(Vec::as_slice).unwrap_or_default();
        let plugin = |entry: &Value| {
            let kind = entry["type"].as_str().unwrap_or_default();
            let mut config = entry.as_object().cloned().unwrap_or_default();
            config.insert("name".to_owned(), list.name().into());
            config.insert("cniVersion".to_owned(), list.version().as_str().into());
            Ok(Plugin {
                kind: kind.to_owned(),
                binary: find(kind, directories)?,
                config,
            })
        };
        Ok(Self {
            name: name.to_owned(),
            node,
            cni_path: paths.join(":"),
            plugins: entries.iter().map(plugin).collect::<anyhow::Result<_>>()?,
        })
    }

    /// berth's plugin alone, on a node whose daemon runs.
    ///
    /// # Errors
    /// It is not built.
    pub fn of_berth(node: &'a Node) -> anyhow::Result<Self> {
        let plugin =
            json!({"type": BERTH_CNI, "socket": node.socket(), "tombstones": node.tombstones()});
        let list = json!({"name": NETWORK, "cniVersion": "1.0.0", "plugins": [plugin]});
        let list = Conflist::from_json(list)?;
        Self::new(BERTH, node.netns(), &list, &cni_path())
    }

    fn begin(&self, plugin: &Plugin, verb: &str, pod: &Pod) -> anyhow::Result<Running> {
        let mut config = plugin.config.clone();
        if let Some(result) = &pod.result {
            config.insert("prevResult".to_owned(), result.clone());
        }
        let stdin = serde_json::to_vec(&config)?;
        start(
            &plugin.binary,
            &pod.environment(verb, &self.cni_path),
            &stdin,
        )
    }
}

impl Contestant for Chain<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn node(&self) -> &Netns {
        self.node
    }

    fn add(&self, pod: &mut Pod) -> anyhow::Result<Spent> {
        let mut spent = Spent::new();
        for plugin in &self.plugins {
            let ran = self.begin(plugin, "ADD", pod)?.finish()?;
            let result = serde_json::from_slice(&ran.stdout);
            pod.result = Some(result.with_context(|| format!("the result of {}", plugin.kind))?);
            spent.push((plugin.kind.clone(), ran.elapsed));
        }
        Ok(spent)
    }

    fn del(&self, pod: &mut Pod) -> anyhow::Result<Spent> {
        let mut spent = Spent::new();
        for plugin in self.plugins.iter().rev() {
            let ran = self.begin(plugin, "DEL", pod)?.finish()?;
            spent.push((plugin.kind.clone(), ran.elapsed));
        }
        Ok(spent)
    }

    fn start(&self, pod: &Pod) -> anyhow::Result<Running> {
        match &self.plugins[..] {
            [only] => self.begin(only, "ADD", pod),
            more => bail!("{} plugins cannot be started at once", more.len()),
        }
    }
}

fn find(kind: &str, directories: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let candidates = directories.iter().map(|directory| directory.join(kind));
    let mut found = candidates.filter(|path: &PathBuf| Path::is_file(path));
    found.next().with_context(|| {
        format!("no plugin {kind} in {directories:?}: install containernetworking-plugins (`make setup`), or set CNI_PATH")
    })
}
