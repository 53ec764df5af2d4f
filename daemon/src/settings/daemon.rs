//! The settings of the daemon itself: its paths, its patience, its log, and the tags of what it creates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_cni::contract::{SOCKET_PATH, TOMBSTONE_DIR};
use tracing_subscriber::EnvFilter;

use super::reader::Reader;
use super::values::{number, path};

/// libcni's default (`libcni/api.go`, `CacheDir`), which containerd, CRI-O and podman keep.
const CNI_RESULTS: &str = "/var/lib/cni/results";

/// aws-node's place for it, so that either daemon finds the other's.
pub const CHECKPOINT: &str = "/var/run/aws-node/ipam.json";
const TAGS: &str = "ADDITIONAL_ENI_TAGS";
/// aws-node's own tags; those that an operator gives with this in the key are dropped.
const RESERVED: &str = "k8s.amazonaws.com";
/// EC2's limits of a tag's key and value, in characters (EC2 user guide, "Tag restrictions").
const TAG_KEY: usize = 128;
/// See [`TAG_KEY`].
const TAG_VALUE: usize = 256;
/// EC2 takes 50 tags on a resource; berth's own are five at most.
const TAG_COUNT: usize = 45;
/// `sun_path` of unix(7) less the final zero byte and the suffix that the socket has while it is made.
const SOCKET_LENGTH: usize = 103;

/// What this section reads.
pub(super) struct Daemon {
    pub socket: PathBuf,
    pub tombstones: PathBuf,
    pub cni_results: PathBuf,
    pub checkpoint: PathBuf,
    pub proc_root: PathBuf,
    pub add_wait: Duration,
    pub cluster_name: Option<String>,
    pub additional_eni_tags: BTreeMap<String, String>,
    pub log: String,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Daemon {
    Daemon {
        checkpoint: read_path(reader, "AWS_VPC_K8S_CNI_BACKING_STORE", CHECKPOINT),
        cluster_name: reader.value(
            "CLUSTER_NAME",
            None,
            |text| Ok(Some(text.to_owned())),
            |name| name.clone().unwrap_or_default(),
        ),
        additional_eni_tags: tags(reader),
        socket: reader.value("BERTH_SOCKET", SOCKET_PATH.into(), socket, |path| {
            show(path)
        }),
        tombstones: read_path(reader, "BERTH_TOMBSTONES", TOMBSTONE_DIR),
        cni_results: read_path(reader, "BERTH_CNI_RESULTS", CNI_RESULTS),
        proc_root: read_path(reader, "BERTH_PROC_ROOT", "/proc"),
        add_wait: reader.value(
            "BERTH_ADD_WAIT_SECONDS",
            Duration::from_secs(20),
            // The plugin gives up after 25 s: a longer wait would never be answered.
            |text| Ok(Duration::from_secs(number(1..=24, "seconds")(text)?.into())),
            |wait| wait.as_secs().to_string(),
        ),
        log: reader.value("BERTH_LOG", "info".to_owned(), log, String::clone),
    }
}

/// A path, absolute.
pub(super) fn read_path(reader: &mut Reader<'_>, name: &'static str, default: &str) -> PathBuf {
    reader.value(name, default.into(), path, |path| show(path))
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn socket(text: &str) -> Result<PathBuf, String> {
    match path(text)? {
        path if text.len() <= SOCKET_LENGTH => Ok(path),
        _ => Err(format!(
            "must be an absolute path of at most {SOCKET_LENGTH} bytes"
        )),
    }
}

fn log(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "must be a filter such as info or info,berthd=debug ({error})"
        )),
    }
}

fn tags(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let mut tags = reader.value(TAGS, BTreeMap::new(), parse_tags, |tags| {
        serde_json::json!(tags).to_string()
    });
    let reserved: Vec<_> = tags
        .keys()
        .filter(|key| key.contains(RESERVED))
        .cloned()
        .collect();
    for key in reserved {
        tags.remove(&key);
        reader.warn(format!(
            "{TAGS}: {key} is dropped, keys with {RESERVED} are berth's and aws-node's own"
        ));
    }
    tags
}

fn parse_tags(text: &str) -> Result<BTreeMap<String, String>, String> {
    let tags: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| {
        format!("must be a JSON map of strings, such as {{\"team\":\"net\"}} ({error})")
    })?;
    if tags.len() > TAG_COUNT {
        return Err(format!(
            "has {} tags, {TAG_COUNT} fit on an ENI",
            tags.len()
        ));
    }
    for (key, value) in &tags {
        let allowed = (1..=TAG_KEY).contains(&key.chars().count())
            && value.chars().count() <= TAG_VALUE
            && !key.to_ascii_lowercase().starts_with("aws:");
        if !allowed {
            return Err(format!(
                "tag {key:?}: EC2 takes keys of 1 to {TAG_KEY} characters that do not begin with aws:, and values of up to {TAG_VALUE}"
            ));
        }
    }
    Ok(tags)
}
