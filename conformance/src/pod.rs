//! A sandbox for one attachment: a namespace, and behind other plugins what those left in it and say of it.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use crate::netns::Netns;
use crate::runtime::Runtime;
use crate::runtime::attachment::{Attachment, random_container_id};
use crate::runtime::conflist::Version;
use crate::runtime::failure::ChainFailure;

/// Begins the names of the sandboxes' namespaces; the process's id follows.
pub const LABEL: &str = "conformance";

/// Address and gateway of an interface that the suite makes itself (TEST-NET-1, RFC 5737).
const ADDRESS: &str = "192.0.2.10/24";
const GATEWAY: &str = "192.0.2.1";

/// A container as far as CNI knows it. Dropping it removes what the suite made, not what the plugin under test did.
#[derive(Debug)]
pub struct Pod {
    /// The sandbox.
    pub netns: Netns,
    /// What the runtime says of it.
    pub attachment: Attachment,
    /// The result of those before the plugin under test; `None` where it is the first.
    pub previous: Option<Value>,
    earlier: Option<Earlier>,
}

/// Plugins that ran before the one under test, to be undone.
#[derive(Debug)]
struct Earlier {
    runtime: Runtime,
    host: Netns,
}

impl Pod {
    /// An empty sandbox.
    ///
    /// # Errors
    /// No namespace can be made.
    pub fn empty(ifname: &str) -> anyhow::Result<Self> {
        let netns = Netns::unique(LABEL)?;
        let id = random_container_id()?;
        let path = netns.path().to_owned();
        let mut attachment = Attachment::of_pod("conformance", netns.name(), id, path);
        ifname.clone_into(&mut attachment.ifname);
        Ok(Self {
            netns,
            attachment,
            previous: None,
            earlier: None,
        })
    }

    /// A sandbox in which `runtime`'s list has attached the interface.
    ///
    /// # Errors
    /// One of those plugins failed; what they did is undone.
    pub fn behind(ifname: &str, host: &Netns, runtime: Runtime) -> anyhow::Result<Self> {
        let mut pod = Self::empty(ifname)?;
        let host = Netns::at(host.path().to_owned())?;
        let added = runtime.add(&host, &pod.attachment);
        // from here on dropping the pod undoes it, even if only some of them have run
        let earlier = pod.earlier.insert(Earlier { runtime, host });
        let added = added.with_context(|| {
            format!(
                "the plugins before it, {} of them",
                earlier.runtime.conflist().plugins().len()
            )
        })?;
        pod.previous = Some(added.result.json().clone());
        Ok(pod)
    }

    /// A sandbox with a veth that the suite makes, and a result that says so: the host's end first, as Go's ptp has it.
    ///
    /// # Errors
    /// The link cannot be made.
    pub fn with_interface(ifname: &str, host: &Netns, version: Version) -> anyhow::Result<Self> {
        let mut pod = Self::empty(ifname)?;
        let outside = format!("cnf{}", &pod.attachment.container_id[..8]);
        let inside = pod.netns.name();
        let [mac, outer_mac] = macs(&pod.attachment.container_id);
        host.ip_batch(&[
            format!("link add {outside} address {outer_mac} type veth peer name {ifname} address {mac} netns {inside}"),
            format!("link set {outside} up"),
        ])?;
        pod.netns.ip_batch(&[
            format!("addr add {ADDRESS} dev {ifname}"),
            format!("link set {ifname} up"),
        ])?;
        let mut ip = json!({"address": ADDRESS, "gateway": GATEWAY, "interface": 1});
        if version < Version::V1_0_0 {
            ip["version"] = json!("4");
        }
        pod.previous = Some(json!({
            "cniVersion": version.as_str(),
            "interfaces": [
                {"name": outside, "mac": outer_mac},
                {"name": ifname, "mac": mac, "sandbox": pod.netns.path()},
            ],
            "ips": [ip],
        }));
        Ok(pod)
    }

    /// The sandbox's path as the plugin is told it.
    #[must_use]
    pub fn sandbox(&self) -> &Path {
        &self.attachment.netns
    }

    /// `CNI_IFNAME`.
    #[must_use]
    pub fn ifname(&self) -> &str {
        &self.attachment.ifname
    }

    /// Undoes what the plugins before did.
    ///
    /// # Errors
    /// One of them failed.
    pub fn undo_earlier(&self) -> Result<(), ChainFailure> {
        match &self.earlier {
            Some(Earlier { runtime, host }) => runtime.del(host, &self.attachment).map(drop),
            None => Ok(()),
        }
    }
}

/// Two local unicast MAC addresses, made of an id in hex digits.
fn macs(id: &str) -> [String; 2] {
    let of = |digits: &str| {
        let pairs = digits.as_bytes().chunks(2).map(String::from_utf8_lossy);
        pairs.fold("02".to_owned(), |mac, pair| format!("{mac}:{pair}"))
    };
    [of(&id[8..18]), of(&id[18..28])]
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Err(failure) = self.undo_earlier() {
            eprintln!("a sandbox is not clean: {failure}");
        }
    }
}
