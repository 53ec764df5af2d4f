//! Which attachments nobody has any more: their link and their namespace have been gone for a while, and no runtime's
//! cache names them. Their DEL was lost; the sweep releases them. What is gone is observed elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::attachment::AttachmentKey;
use crate::time::Timestamp;

/// How long link and namespace must be gone. A runtime that has removed a namespace calls DEL within seconds, and retries
/// a failed one; a minute later it has forgotten the sandbox or says so in its cache.
pub const GONE_FOR: Duration = Duration::from_secs(60);

/// Since when attachments have been seen without a link and without a namespace. Not part of the state: a daemon that
/// starts waits anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abandoned {
    since: BTreeMap<AttachmentKey, Timestamp>,
}

impl Abandoned {
    /// Takes in which attachments were found gone, all at once; answers those that have been so in every look for
    /// [`GONE_FOR`].
    pub fn looked(&mut self, gone: &BTreeSet<AttachmentKey>, now: Timestamp) -> Vec<AttachmentKey> {
        self.since.retain(|key, _| gone.contains(key));
        for key in gone {
            self.since.entry(key.clone()).or_insert(now);
        }
        let long = |since: &Timestamp| now.since(*since) >= GONE_FOR;
        let abandoned = self.since.iter().filter(|(_, since)| long(since));
        abandoned.map(|(key, _)| key.clone()).collect()
    }
}

/// Whether a runtime's result cache names the attachment. libcni's files are `<network>-<container id>-<ifname>`
/// (`libcni/api.go`, `getCacheFilePath`); since each part may contain `-`, and since the network of an attachment that was
/// found in the kernel is not known, the end decides: a name too many keeps an address, one too few would take it.
pub fn is_cached(key: &AttachmentKey, results: &[String]) -> bool {
    let end = format!("-{}-{}", key.container_id, key.ifname);
    results.iter().any(|name| name.ends_with(&end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(container_id: &str) -> AttachmentKey {
        AttachmentKey {
            network: "aws-cni".into(),
            container_id: container_id.into(),
            ifname: "eth0".into(),
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1000 + seconds)
    }

    #[test]
    fn gone_for_a_minute_is_abandoned_and_a_moment_less_is_not() {
        let mut abandoned = Abandoned::default();
        let gone = BTreeSet::from([key("c1")]);
        assert!(abandoned.looked(&gone, at(0)).is_empty());
        assert!(abandoned.looked(&gone, at(59)).is_empty());
        assert_eq!(abandoned.looked(&gone, at(60)), [key("c1")]);
        // Until somebody has released it.
        assert_eq!(abandoned.looked(&gone, at(61)), [key("c1")]);
    }

    #[test]
    fn what_is_seen_again_begins_anew() {
        let mut abandoned = Abandoned::default();
        let both = BTreeSet::from([key("c1"), key("c2")]);
        abandoned.looked(&both, at(0));
        abandoned.looked(&BTreeSet::from([key("c2")]), at(30));
        assert_eq!(abandoned.looked(&both, at(60)), [key("c2")]);
        assert_eq!(abandoned.looked(&both, at(120)).len(), 2);
    }

    #[test]
    fn the_cache_names_an_attachment_in_any_network() {
        let cached = |name: &str| is_cached(&key("c1"), &[name.to_owned()]);
        assert!(cached("aws-cni-c1-eth0") && cached("other-c1-eth0"));
        for name in [
            "aws-cni-c1-eth1",
            "aws-cni-c11-eth0",
            "aws-cni-xc1-eth0",
            "c1-eth0",
        ] {
            assert!(!cached(name), "{name}");
        }
    }
}
