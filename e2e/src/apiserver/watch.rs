//! The stream of changes that a watch is: one JSON object a line, in chunks, until its time is over or it is cut.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch as news;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::select::{Selector, Told};

/// A watch that goes on.
struct Watching {
    shared: Arc<Shared>,
    news: news::Receiver<(u64, u64)>,
    selector: Selector,
    /// Everything up to this version is told.
    told: u64,
    /// How often watches had been cut when it began.
    cuts: u64,
    bookmarks: bool,
    until: Instant,
    over: bool,
}

/// The body of a watch from `version` on.
pub(super) fn body(
    shared: Arc<Shared>,
    selector: Selector,
    version: u64,
    (within, bookmarks): (Duration, bool),
) -> Body {
    let news = shared.news.subscribe();
    let cuts = news.borrow().1;
    let watching = Watching {
        shared,
        news,
        selector,
        told: version,
        cuts,
        bookmarks,
        until: Instant::now() + within,
        over: false,
    };
    let next = |mut watching: Watching| async move {
        let line = watching.next().await?;
        Some((line, watching))
    };
    Body::from_stream(stream::unfold(watching, next))
}

/// One line.
pub(super) fn line(happened: &str, object: &Value) -> Vec<u8> {
    let mut line = json!({"type": happened, "object": object})
        .to_string()
        .into_bytes();
    line.push(b'\n');
    line
}

impl Watching {
    /// The next line; an error breaks the connection off.
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        let bookmark = Instant::now() + self.shared.bookmarks;
        while !self.over {
            if self.news.borrow_and_update().1 != self.cuts {
                self.over = true;
                return Some(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if let Some(line) = self.change() {
                return Some(Ok(line));
            }
            let wake = bookmark.min(self.until);
            if timeout_at(wake, self.news.changed()).await.is_ok() {
                continue;
            }
            if Instant::now() >= self.until {
                return None;
            }
            if self.bookmarks {
                return Some(Ok(self.bookmark()));
            }
        }
        None
    }

    /// The next change that it is about.
    fn change(&mut self) -> Option<Vec<u8>> {
        let world = self.shared.world.lock();
        if self.told < world.forgotten() {
            self.over = true;
            return Some(line(
                "ERROR",
                &super::api::status(410, "too old resource version"),
            ));
        }
        while let Some(entry) = world.after(self.told) {
            self.told = entry.version;
            let happened = match self.selector.told(entry) {
                Some(Told::Added) => "ADDED",
                Some(Told::Modified) => "MODIFIED",
                Some(Told::Deleted) => "DELETED",
                None => continue,
            };
            return Some(line(happened, &entry.after));
        }
        None
    }

    fn bookmark(&mut self) -> Vec<u8> {
        let object = json!({
            "kind": self.selector.resource.kind(),
            "apiVersion": "v1",
            "metadata": {"resourceVersion": self.told.to_string(), "creationTimestamp": null},
            "spec": {"containers": null},
            "status": {},
        });
        line("BOOKMARK", &object)
    }
}
