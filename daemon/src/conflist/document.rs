//! What the network configuration list says, and what is kept of one that others have changed. Pure: bytes in, bytes out.

use serde_json::{Map, Value, json};

use super::{Chain, CniVersion};

/// The network's name: aws-node's. The runtimes' result caches are keyed by it, so it must outlive a swap either way.
pub const NETWORK: &str = "aws-cni";
/// The plugin's file, and so its `type`.
pub const PLUGIN: &str = "berth-cni";
const PORTMAP: &str = "portmap";
const BANDWIDTH: &str = "bandwidth";
const TUNING: &str = "tuning";
/// The plugins that berth puts into a list, or has put there under other settings. Everything else in it is somebody
/// else's, who has chained himself behind berth.
const OWN: [&str; 4] = [PLUGIN, PORTMAP, BANDWIDTH, TUNING];

/// What there is to do about the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It says what it should.
    None,
    /// It should say this.
    Write(Vec<u8>),
}

/// The file has berth's name and is not berth's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// It cannot be read as a list.
    #[error("it is no network configuration list")]
    NoList,
    /// berth is not in it.
    #[error("{PLUGIN} is not among its plugins")]
    WithoutUs,
}

/// The plugins of the list, in order: the names of the files that the runtime will look for.
pub fn plugins(chain: &Chain) -> Vec<&'static str> {
    let Chain {
        portmap,
        bandwidth,
        disable_pod_v6,
        ..
    } = chain;
    let chained = [
        (*portmap, PORTMAP),
        (*bandwidth, BANDWIDTH),
        (*disable_pod_v6, TUNING),
    ];
    let chained = chained
        .into_iter()
        .filter_map(|(wanted, name)| wanted.then_some(name));
    [PLUGIN].into_iter().chain(chained).collect()
}

/// What is to be done about a file with this content (`None`: there is no file). Plugins that others have appended
/// (service meshes do) stay behind berth's, and so do keys of the list that berth has no opinion about.
///
/// # Errors
/// [`NotOurs`]: such a file is not overwritten.
pub fn change(chain: &Chain, found: Option<&[u8]>) -> Result<Change, NotOurs> {
    let found = found.map(decode).transpose()?;
    let mut list = found.clone().unwrap_or_default();
    let mut entries: Vec<Value> = plugins(chain)
        .iter()
        .map(|name| entry(chain, name))
        .collect();
    entries.extend(others(&list).cloned());
    list.insert("cniVersion".into(), chain.version.as_str().into());
    list.insert("name".into(), NETWORK.into());
    list.insert("plugins".into(), entries.into());
    if found.as_ref() == Some(&list) {
        return Ok(Change::None);
    }
    let mut document = format!("{:#}", Value::Object(list)).into_bytes();
    document.push(b'\n');
    Ok(Change::Write(document))
}

/// A list of berth's.
///
/// # Errors
/// [`NotOurs`].
pub(super) fn decode(content: &[u8]) -> Result<Map<String, Value>, NotOurs> {
    let Ok(Value::Object(list)) = serde_json::from_slice(content) else {
        return Err(NotOurs::NoList);
    };
    let Some(Value::Array(entries)) = list.get("plugins") else {
        return Err(NotOurs::NoList);
    };
    if entries.iter().any(|entry| kind(entry) == Some(PLUGIN)) {
        Ok(list)
    } else {
        Err(NotOurs::WithoutUs)
    }
}

/// The entries of a list that berth did not put there.
fn others(list: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let entries = list.get("plugins").and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .filter(|entry| !kind(entry).is_some_and(|kind| OWN.contains(&kind)))
}

fn kind(entry: &Value) -> Option<&str> {
    entry.get("type")?.as_str()
}

fn entry(chain: &Chain, name: &str) -> Value {
    match name {
        // As aws-node has them: `snat` lets a pod reach itself by its node's hostPort.
        PORTMAP => {
            json!({"type": PORTMAP, "capabilities": {"portMappings": true}, "snat": true})
        }
        BANDWIDTH => json!({"type": BANDWIDTH, "capabilities": {"bandwidth": true}}),
        TUNING => json!({"type": TUNING, "sysctl": {
            "net.ipv6.conf.all.disable_ipv6": "1",
            "net.ipv6.conf.default.disable_ipv6": "1",
            "net.ipv6.conf.lo.disable_ipv6": "1",
        }}),
        _ => own_entry(chain),
    }
}

/// berth's own entry names only what the plugin does not assume anyway. The pods' MTU and the prefix of their links are
/// not in it: the daemon has them from its settings, and two places would contradict each other one day.
fn own_entry(chain: &Chain) -> Value {
    let mut entry = json!({"type": PLUGIN});
    for (key, path) in [("socket", &chain.socket), ("tombstones", &chain.tombstones)] {
        if let Some(path) = path {
            entry[key] = path.display().to_string().into();
        }
    }
    entry
}

impl CniVersion {
    /// As written in `cniVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn written(chain: &Chain, found: Option<&Value>) -> Value {
        let found = found.map(|value| value.to_string().into_bytes());
        match change(chain, found.as_deref()).unwrap() {
            Change::Write(document) => serde_json::from_slice(&document).unwrap(),
            Change::None => panic!("nothing to write"),
        }
    }

    #[test]
    fn the_usual_list_is_berth_and_portmap() {
        let list = written(&Chain::default(), None);
        let expected = json!({"cniVersion": "1.0.0", "name": "aws-cni", "plugins": [
            {"type": "berth-cni"},
            {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true},
        ]});
        assert_eq!(list, expected);
    }

    #[test]
    fn every_setting_is_in_the_list() {
        let chain = Chain {
            version: CniVersion::V1_1_0,
            portmap: false,
            bandwidth: true,
            disable_pod_v6: true,
            socket: Some("/a/sock".into()),
            tombstones: Some("/a/tombs".into()),
        };
        assert_eq!(plugins(&chain), ["berth-cni", "bandwidth", "tuning"]);
        let list = written(&chain, None);
        assert_eq!(list["cniVersion"], "1.1.0");
        let own = json!({"type": "berth-cni", "socket": "/a/sock", "tombstones": "/a/tombs"});
        assert_eq!(list["plugins"][0], own);
        assert_eq!(list["plugins"][1]["capabilities"]["bandwidth"], true);
        let sysctl = list["plugins"][2]["sysctl"].as_object().unwrap();
        assert!(sysctl.len() == 3 && sysctl.values().all(|value| value == "1"));
    }

    #[test]
    fn a_list_that_says_what_it_should_is_left_however_it_is_written() {
        let list = written(&Chain::default(), None);
        let compact = list.to_string();
        let left = change(&Chain::default(), Some(compact.as_bytes()));
        assert_eq!(left, Ok(Change::None));
    }

    #[test]
    fn what_others_have_chained_behind_berth_stays_there() {
        let mut list = written(&Chain::default(), None);
        let mesh = json!({"type": "istio-cni", "log_level": "info"});
        list["plugins"].as_array_mut().unwrap().push(mesh.clone());
        list["disableCheck"] = true.into();
        let same = change(&Chain::default(), Some(list.to_string().as_bytes()));
        assert_eq!(same, Ok(Change::None));
        // Other settings change berth's part only.
        let chain = Chain {
            portmap: false,
            bandwidth: true,
            ..Chain::default()
        };
        let changed = written(&chain, Some(&list));
        let kinds: Vec<_> = changed["plugins"]
            .as_array()
            .unwrap()
            .iter()
            .map(kind)
            .collect();
        assert_eq!(
            kinds,
            [Some("berth-cni"), Some("bandwidth"), Some("istio-cni")]
        );
        assert_eq!(
            (&changed["plugins"][2], &changed["disableCheck"]),
            (&mesh, &true.into())
        );
    }

    #[test]
    fn an_older_list_of_berth_is_brought_up_to_date() {
        let old = json!({"cniVersion": "0.4.0", "name": "other", "plugins": [{"type": "berth-cni", "mtu": "1500"}]});
        let list = written(&Chain::default(), Some(&old));
        assert_eq!(list, written(&Chain::default(), None));
    }

    #[test]
    fn a_file_that_is_not_berths_is_not_overwritten() {
        for (content, why) in [
            ("", NotOurs::NoList),
            ("{\"cniVersion\": \"1.0", NotOurs::NoList),
            ("[]", NotOurs::NoList),
            ("{\"type\":\"berth-cni\"}", NotOurs::NoList),
            ("{\"plugins\":[]}", NotOurs::WithoutUs),
            ("{\"plugins\":[{\"type\":\"aws-cni\"}]}", NotOurs::WithoutUs),
        ] {
            let found = Some(content.as_bytes());
            assert_eq!(change(&Chain::default(), found), Err(why), "{content}");
        }
    }
}
