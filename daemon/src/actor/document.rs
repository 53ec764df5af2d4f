//! The actor's state as it is written. The actor tells what changed since the last time, which costs it little however many
//! pods there are; whoever writes keeps the JSON of the rest.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipam::{Address, Attachment, AttachmentKey};
use serde::ser::Error;
use serde_json::value::{RawValue, to_raw_value};

use super::persisted::{Beside, Persisted, SCHEMA};
use super::{Actor, translate};
use crate::store::Document;
use crate::store::checkpoint::{CheckpointError, encode};
use crate::store::seen::{Change, Seen};

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

/// The newest state in JSON.
#[derive(Default)]
struct Text {
    /// Of the attachments, in their order.
    keys: Vec<AttachmentKey>,
    /// The attachments in aws-node's words, in the same order.
    allocations: Vec<Raw>,
    /// None only before the first news.
    state: Option<Persisted<Raw, Raw>>,
}

impl Text {
    /// Works news in; once more changes nothing.
    fn take_in(&mut self, news: &News) -> serde_json::Result<()> {
        let before = self.state.take().map(|state| state.pool);
        let (mut attachments, mut addresses) =
            before.map_or_else(Default::default, |pool| (pool.attachments, pool.addresses));
        let worked = self.write_attachments(&mut attachments, &news.attachments);
        let worked = worked.and_then(|()| {
            for (ip, address) in &news.addresses {
                match address {
                    Some(address) => addresses.insert(*ip, to_raw_value(address)?),
                    None => addresses.remove(ip),
                };
            }
            Ok(())
        });
        let mut state = news.state.clone();
        (state.pool.attachments, state.pool.addresses) = (attachments, addresses);
        self.state = Some(state);
        worked
    }

    fn write_attachments(
        &mut self,
        written: &mut Vec<Raw>,
        changes: &[Change<AttachmentKey, Attachment>],
    ) -> serde_json::Result<()> {
        for (key, attachment) in changes {
            let place = self.keys.binary_search(key);
            match (place, attachment) {
                (Ok(at), Some(attachment)) => {
                    self.allocations[at] = to_raw_value(&translate::allocation(attachment))?;
                    written[at] = to_raw_value(&Beside::of(attachment))?;
                }
                (Err(at), Some(attachment)) => {
                    let allocation = to_raw_value(&translate::allocation(attachment))?;
                    written.insert(at, to_raw_value(&Beside::of(attachment))?);
                    self.allocations.insert(at, allocation);
                    self.keys.insert(at, key.clone());
                }
                (Ok(at), None) => {
                    self.keys.remove(at);
                    self.allocations.remove(at);
                    written.remove(at);
                }
                (Err(_), None) => {}
            }
        }
        Ok(())
    }
}

impl Document for Arc<Page> {
    /// The newest state, which may be newer than the one this was made for.
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), CheckpointError> {
        let mut text = locked(&self.text);
        // Not locked while it is worked in: the actor would wait.
        let mut news = std::mem::take(&mut *locked(&self.news)).into_iter();
        while let Some(next) = news.next() {
            if let Err(error) = text.take_in(&next) {
                locked(&self.news).splice(..0, std::iter::once(next).chain(news));
                return Err(CheckpointError::Encode(error));
            }
        }
        let nothing =
            || CheckpointError::Encode(serde_json::Error::custom("there is no state yet"));
        let state = text.state.as_ref().ok_or_else(nothing)?;
        encode(&text.allocations, state, into)
    }
}

/// Neither is ever half changed by who panics.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Actor {
    /// The state as it is now, or newer when it comes to be written.
    pub(super) fn document(&mut self) -> impl Document + use<> {
        let attachments = self
            .told
            .attachments
            .changes(self.pool.shared_attachments());
        let addresses = self.told.addresses.changes(self.pool.shared_addresses());
        let state = Persisted {
            schema: SCHEMA,
            boot_id: self.boot_id.clone(),
            node: self.facts.clone(),
            lost: self.recovery.lost,
            leaving: self.leaving.clone(),
            pool: self.pool.snapshot_of(Default::default(), Vec::new()),
        };
        let news = News {
            state,
            attachments,
            addresses,
        };
        locked(&self.told.page.news).push(news);
        Arc::clone(&self.told.page)
    }
}
