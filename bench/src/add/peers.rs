//! Who else is measured: Debian's `ptp` with `host-local`, without and with ipMasq, and whatever was named by `--peer`.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;
use e2e::netns::Netns;
use e2e::node::programs::DEBIAN_PLUGINS;
use e2e::runtime::conflist::Conflist;
use serde_json::json;

use super::chain::Chain;
use crate::section::Peer;

/// ptp as it is.
pub const PTP: &str = "ptp";
/// ptp that masquerades what leaves the node, as most users of it need.
pub const PTP_MASQ: &str = "ptp ipMasq";

/// All of them on `node`; what Debian's keep, they keep in `dir`.
///
/// # Errors
/// A list cannot be read, or a program is not there.
pub fn all<'a>(node: &'a Netns, dir: &Path, others: &[Peer]) -> anyhow::Result<Vec<Chain<'a>>> {
    let mut chains = vec![
        ptp(PTP, false, "10.200.0.0/16", node, dir)?,
        ptp(PTP_MASQ, true, "10.201.0.0/16", node, dir)?,
    ];
    for peer in others {
        let chain = Conflist::load(&peer.conflist)
            .and_then(|list| Chain::new(&peer.name, node, &list, &directories()));
        chains.push(chain.with_context(|| format!("--peer {}", peer.name))?);
    }
    Ok(chains)
}

fn ptp<'a>(
    name: &str,
    masquerades: bool,
    subnet: &str,
    node: &'a Netns,
    dir: &Path,
) -> anyhow::Result<Chain<'a>> {
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": subnet}]], "dataDir": dir.join("host-local")});
    let plugin = json!({"type": "ptp", "ipMasq": masquerades, "ipam": ipam});
    let network = format!("ptp-{masquerades}");
    let list = json!({"name": network, "cniVersion": "1.0.0", "plugins": [plugin]});
    Chain::new(name, node, &Conflist::from_json(list)?, &directories())
}

/// As libcni: `CNI_PATH` and the usual place.
fn directories() -> Vec<PathBuf> {
    let named = env::var_os("CNI_PATH").unwrap_or_default();
    let named = env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    named.chain([PathBuf::from(DEBIAN_PLUGINS)]).collect()
}
