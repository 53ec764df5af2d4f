//! The actor's state as it is written. The actor tells what changed since the last time, which costs it little however many
//! pods there are; whoever writes keeps the JSON of the rest.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipam::{Address, Attachment, AttachmentKey, Pool};
use serde::ser::Error;
use serde_json::value::RawValue;

use super::joined::Joined;
use super::persisted::{Beside, Persisted, SCHEMA};
use super::{Actor, translate};
use crate::store::checkpoint::{CheckpointError, encode};
use crate::store::seen::{Change, Seen};
use crate::store::{Document, StoreError, Take};

/// What the disk was told of, or will be when its turn has come.
#[derive(Default)]
pub(super) struct Told {
    attachments: Seen<AttachmentKey, Attachment>,
    addresses: Seen<Ipv4Addr, Address>,
    /// For whoever writes.
    page: Arc<Page>,
}

/// Between the actor, which adds news, and who writes, which works them in.
#[derive(Default)]
struct Page {
    news: Mutex<Vec<News>>,
    text: Mutex<Text>,
}

/// The way from one state to the next: what is small as a whole, with none of the pods, and what changed of them.
struct News {
    state: Persisted<Raw, Raw>,
    attachments: Vec<Change<AttachmentKey, Attachment>>,
    addresses: Vec<Change<Ipv4Addr, Address>>,
}

type Raw = Box<RawValue>;

/// The newest state in JSON: the long lists as they are written, and the rest.
#[derive(Default)]
struct Text {
    /// Of the attachments, in their order.
    keys: Vec<AttachmentKey>,
    /// The attachments in aws-node's words, in the same order.
    allocations: Joined,
    /// What we know of them besides.
    attachments: Joined,
    ips: Vec<Ipv4Addr>,
    /// Of the map, each with its key.
    addresses: Joined,
    /// None only before the first news.
    rest: Option<Persisted<Raw, Raw>>,
}

impl Text {
    /// Works news in; once more changes nothing.
    fn take_in(&mut self, news: &News) -> serde_json::Result<()> {
        for (key, attachment) in &news.attachments {
            self.write_attachment(key, attachment.as_deref())?;
        }
        for (ip, address) in &news.addresses {
            self.write_address(*ip, address.as_deref())?;
        }
        self.rest = Some(news.state.clone());
        Ok(())
    }

    fn write_attachment(
        &mut self,
        key: &AttachmentKey,
        attachment: Option<&Attachment>,
    ) -> serde_json::Result<()> {
        let place = self.keys.binary_search(key);
        let Some(attachment) = attachment else {
            if let Ok(at) = place {
                self.keys.remove(at);
                self.allocations.remove(at);
                self.attachments.remove(at);
            }
            return Ok(());
        };
        let allocation = serde_json::to_string(&translate::allocation(attachment))?;
        let beside = serde_json::to_string(&Beside::of(attachment))?;
        match place {
            Ok(at) => {
                self.allocations.set(at, &allocation);
                self.attachments.set(at, &beside);
            }
            Err(at) => {
                self.keys.insert(at, key.clone());
                self.allocations.insert(at, &allocation);
                self.attachments.insert(at, &beside);
            }
        }
        Ok(())
    }

    fn write_address(&mut self, ip: Ipv4Addr, address: Option<&Address>) -> serde_json::Result<()> {
        let place = self.ips.binary_search(&ip);
        let Some(address) = address else {
            if let Ok(at) = place {
                self.ips.remove(at);
                self.addresses.remove(at);
            }
            return Ok(());
        };
        let entry = format!(r#""{ip}":{}"#, serde_json::to_string(address)?);
        match place {
            Ok(at) => self.addresses.set(at, &entry),
            Err(at) => {
                self.ips.insert(at, ip);
                self.addresses.insert(at, &entry);
            }
        }
        Ok(())
    }

    /// Hands the document over: the rest, which has the lists empty, with each between its brackets.
    fn parts(&self, take: Take<'_>) -> Result<(), StoreError> {
        let broken = |why| CheckpointError::Encode(serde_json::Error::custom(why));
        let rest = self.rest.as_ref();
        let rest = rest.ok_or_else(|| broken("there is no state yet".to_owned()))?;
        let mut frame = Vec::new();
        encode(&[] as &[Raw], rest, &mut frame)?;
        let mut left = str::from_utf8(&frame).map_err(|error| broken(error.to_string()))?;
        let mut parts = Vec::new();
        for (empty, list) in [
            (r#""allocations":[]"#, &self.allocations),
            (r#""addresses":{}"#, &self.addresses),
            (r#""attachments":[]"#, &self.attachments),
        ] {
            // No text of the state looks like it: quotes inside of one are escaped.
            let found = left.find(empty);
            let found = found.ok_or_else(|| broken(format!("no {empty} in its place")))?;
            let (before, after) = left.split_at(found + empty.len() - 1);
            parts.extend([before.as_bytes(), list.text()]);
            left = after;
        }
        parts.push(left.as_bytes());
        take(&parts)
    }
}

impl Document for Arc<Page> {
    /// The newest state, which may be newer than the one this was made for.
    fn parts(&self, take: Take<'_>) -> Result<(), StoreError> {
        let mut text = locked(&self.text);
        // Not locked while it is worked in: the actor would wait.
        let mut news = std::mem::take(&mut *locked(&self.news)).into_iter();
        while let Some(next) = news.next() {
            if let Err(error) = text.take_in(&next) {
                locked(&self.news).splice(..0, std::iter::once(next).chain(news));
                return Err(CheckpointError::Encode(error).into());
            }
        }
        text.parts(take)
    }
}

/// Neither is ever half changed by who panics.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    /// Has what is different in `pool`, and all of `state`, in the next document that is written.
    fn tell(&mut self, pool: &Pool, state: Persisted<Raw, Raw>) -> Arc<Page> {
        let news = News {
            state,
            attachments: self.attachments.changes(pool.shared_attachments()),
            addresses: self.addresses.changes(pool.shared_addresses()),
        };
        locked(&self.page.news).push(news);
        Arc::clone(&self.page)
    }
}

impl Actor {
    /// The state as it is now, or newer when it comes to be written.
    pub(super) fn document(&mut self) -> impl Document + use<> {
        let state = Persisted {
            schema: SCHEMA,
            boot_id: self.boot_id.clone(),
            node: self.facts.clone(),
            lost: self.recovery.lost,
            leaving: self.leaving.clone(),
            pool: self.pool.snapshot_of(BTreeMap::new(), Vec::new()),
        };
        self.told.tell(&self.pool, state)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ipam::{Event, Snapshot, Timestamp};
    use proptest::prelude::*;

    use super::*;

    /// An ENI with six addresses, of which none is used.
    fn pool() -> Pool {
        let address = |last: u8| {
            let free =
                r#"{"eni":"eni-0","block":"single","state":{"free":{"since":0}},"learned":0}"#;
            format!(r#""10.0.1.{last}":{free}"#)
        };
        let addresses = (4..10).map(address).collect::<Vec<_>>().join(",");
        let eni = r#"{"id":"eni-0","mac":"0a:c3:4d:0b:ff:90","device_index":0,"primary_address":"10.0.1.11",
            "subnet":"10.0.1.0/24","ownership":"primary","state":{"ready":{"since":0}},"attachment_id":"a",
            "delete_on_termination":true,"learned":0,"missed":null}"#;
        let knowledge = r#"{"complete":true,"described":null,"wanted":false}"#;
        let snapshot = format!(
            r#"{{"enis":[{eni}],"addresses":{{{addresses}}},"attachments":[],"intents":{{}},"next_intent":0,"knowledge":{knowledge}}}"#
        );
        let snapshot: Snapshot = serde_json::from_str(&snapshot).unwrap();
        Pool::try_from(snapshot).unwrap()
    }

    fn state<A, D>(pool: Snapshot<A, D>, lost: bool) -> Persisted<A, D> {
        Persisted {
            schema: SCHEMA,
            boot_id: "b".to_owned(),
            node: None,
            lost,
            leaving: std::collections::BTreeSet::new(),
            pool,
        }
    }

    fn key(pod: u8) -> AttachmentKey {
        AttachmentKey {
            network: "aws-cni".to_owned(),
            container_id: format!("c{pod}"),
            ifname: "eth0".to_owned(),
        }
    }

    /// One step in the life of a pod: it comes, or is wired, or goes.
    fn step(pool: &mut Pool, pod: u8, goes: bool) {
        let key = key(pod);
        let event = match pool.attachment(&key) {
            None => match pool.choose() {
                Some((address, eni)) => Event::Allocated {
                    attachment: Box::new(Attachment::bare(
                        key,
                        address,
                        eni,
                        Timestamp::from_secs(1),
                    )),
                },
                None => Event::Tick {
                    now: Timestamp::from_secs(60),
                },
            },
            Some(_) if goes => Event::Released {
                key,
                until: Timestamp::from_secs(30),
            },
            Some(_) => Event::Wired {
                key,
                host_ifindex: u32::from(pod),
            },
        };
        pool.apply(event).unwrap();
    }

    proptest! {
        /// What is written is what would be written of the whole, however much of it was told and not written in between.
        #[test]
        fn the_document_is_that_of_the_whole_state(
            steps in prop::collection::vec((0..8_u8, any::<bool>(), any::<bool>()), 1..60),
        ) {
            let (mut pool, mut told) = (pool(), Told::default());
            for (pod, goes, written) in steps {
                step(&mut pool, pod, goes);
                let lost = pod == 0;
                let page = told.tell(&pool, state(pool.snapshot_of(BTreeMap::new(), Vec::new()), lost));
                if written {
                    let (mut kept, mut whole) = (Vec::new(), Vec::new());
                    page.parts(&mut |parts| {
                        kept = parts.concat();
                        Ok(())
                    })
                    .unwrap();
                    state(pool.snapshot(), lost).encode(&mut whole).unwrap();
                    prop_assert_eq!(String::from_utf8(kept).unwrap(), String::from_utf8(whole).unwrap());
                }
            }
        }
    }
}
