//! The settings of the network configuration list: where it goes, and the plugins in it.

use std::path::Path;

use berth_cni::contract::{SOCKET_PATH, TOMBSTONE_DIR};

use super::daemon::{Daemon, read_path};
use super::reader::Reader;
use super::values::boolean;
use crate::conflist::{BIN_DIR, CONF_DIR, Chain, CniVersion, ConflistSettings};

pub(super) fn read(reader: &mut Reader<'_>, daemon: &Daemon) -> ConflistSettings {
    let default = Chain::default();
    ConflistSettings {
        conf_dir: read_path(reader, "HOST_CNI_CONFDIR_PATH", CONF_DIR),
        bin_dir: read_path(reader, "HOST_CNI_BIN_PATH", BIN_DIR),
        write: switch(reader, "BERTH_WRITE_CONFLIST", true),
        chain: Chain {
            version: reader.value("BERTH_CNI_VERSION", default.version, version, |version| {
                version.as_str().to_owned()
            }),
            portmap: switch(reader, "BERTH_PORTMAP", default.portmap),
            bandwidth: switch(reader, "ENABLE_BANDWIDTH_PLUGIN", default.bandwidth),
            disable_pod_v6: switch(reader, "DISABLE_POD_V6", default.disable_pod_v6),
            socket: (daemon.socket != Path::new(SOCKET_PATH)).then(|| daemon.socket.clone()),
            tombstones: (daemon.tombstones != Path::new(TOMBSTONE_DIR))
                .then(|| daemon.tombstones.clone()),
        },
    }
}

fn switch(reader: &mut Reader<'_>, name: &'static str, default: bool) -> bool {
    reader.value(name, default, boolean, bool::to_string)
}

fn version(text: &str) -> Result<CniVersion, String> {
    [CniVersion::V1_0_0, CniVersion::V1_1_0]
        .into_iter()
        .find(|version| version.as_str() == text)
        .ok_or_else(|| "must be 1.0.0, or 1.1.0 for STATUS and GC".to_owned())
}
