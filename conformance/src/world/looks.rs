//! What a case looks at besides the plugin's answers: links, and what the plugin can and cannot do.

use super::World;
use super::traces::soon;
use crate::case::{Verdict, expect, skip};
use crate::netns::Netns;
use crate::pod::Pod;
use crate::runtime::conflist::Version;

impl World<'_> {
    /// Goes on only if the plugin calls no other.
    ///
    /// # Errors
    /// Skips if its configuration names an IPAM plugin.
    pub fn delegates(&self) -> Verdict {
        match self
            .subject()
            .entry
            .get("ipam")
            .and_then(|ipam| ipam["type"].as_str())
        {
            Some(ipam) => skip(format!(
                "the plugin delegates to {ipam}, which it finds in CNI_PATH"
            )),
            None => Ok(()),
        }
    }

    /// Whether this version has CHECK.
    #[must_use]
    pub fn has_check(&self) -> bool {
        self.version() >= Version::V0_4_0
    }

    /// A link of the host that a plugin which mistakes the host for a sandbox could take; `eth0` if there is none.
    ///
    /// # Errors
    /// The host cannot be looked at.
    pub fn some_link_of_the_host(&self) -> anyhow::Result<String> {
        let links = links(self.host())?;
        let other = links.into_iter().find(|link| link != "lo");
        Ok(other.unwrap_or_else(|| super::IFNAME.to_owned()))
    }
}

impl Pod {
    /// The names of the links in the sandbox.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn links(&self) -> anyhow::Result<Vec<String>> {
        links(&self.netns)
    }

    /// The sandbox must have just these links, at once or a little later, in any order.
    ///
    /// # Errors
    /// It has others.
    pub fn has_links(&self, expected: &[&str]) -> Verdict {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        soon(|| {
            let mut links = self.links()?;
            links.sort_unstable();
            expect(links == expected, || {
                format!("the sandbox should have the links {expected:?}, and has {links:?}")
            })
        })
    }
}

fn links(netns: &Netns) -> anyhow::Result<Vec<String>> {
    let listed: serde_json::Value = serde_json::from_str(&netns.ip(&["-j", "link"])?)?;
    let names = listed.as_array().into_iter().flatten();
    Ok(names
        .filter_map(|link| link["ifname"].as_str())
        .map(str::to_owned)
        .collect())
}
