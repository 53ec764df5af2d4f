//! Where the cases of a session are tried: some at once, since most of a case is waiting for the kernel. Each has a directory
//! for itself, and a host that no other case uses meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::Context;

use super::{Outcome, Planned, Record, Session};
use crate::case::Finding;
use crate::interrupt;
use crate::netns::Netns;
use crate::pod::LABEL;
use crate::subject::Subject;

/// Where one case after another is tried.
#[derive(Debug)]
struct Place {
    subject: Subject,
    /// `None`: a new one for each case.
    host: Option<PathBuf>,
}

impl Place {
    fn host(&self) -> anyhow::Result<Netns> {
        match &self.host {
            Some(path) => Netns::at(path.clone()),
            None => Netns::unique(LABEL),
        }
    }
}

/// What the places share: the plan, how far it is, and where the reports go.
struct Queue<'a> {
    planned: &'a [Planned],
    next: AtomicUsize,
    ended: AtomicBool,
    dir: &'a Path,
}

impl Session {
    /// Runs what is planned and hands each record to `told` as soon as it is there; all of them in the order of the plan.
    ///
    /// # Errors
    /// No directory can be made for the session, or one of the hosts is not there.
    pub fn run(
        &self,
        planned: &[Planned],
        mut told: impl FnMut(&Record),
    ) -> anyhow::Result<Vec<Record>> {
        let dir = tempfile::tempdir().context("cannot make a directory for the session")?;
        let places = self.places()?;
        let queue = Queue {
            planned,
            next: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            dir: dir.path(),
        };
        let mut records = Vec::with_capacity(planned.len());
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for place in &places {
                let (queue, sender) = (&queue, sender.clone());
                scope.spawn(move || self.work(place, queue, &sender));
            }
            drop(sender);
            for (at, record) in receiver {
                told(&record);
                records.push((at, record));
            }
        });
        records.sort_by_key(|(at, _)| *at);
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }

    fn places(&self) -> anyhow::Result<Vec<Place>> {
        if self.hosts.is_empty() {
            let place = |_| Place {
                subject: self.subject.clone(),
                host: None,
            };
            return Ok((0..self.jobs.get()).map(place).collect());
        }
        let place = |path: &PathBuf| {
            let host = Netns::at(path.clone())?;
            Ok(Place {
                subject: self.subject.on_host(host.name()),
                host: Some(path.clone()),
            })
        };
        self.hosts.iter().map(place).collect()
    }

    fn work(&self, place: &Place, queue: &Queue<'_>, sender: &mpsc::Sender<(usize, Record)>) {
        while !queue.ended.load(Ordering::Relaxed) && !interrupt::is_asked() {
            let at = queue.next.fetch_add(1, Ordering::Relaxed);
            let Some(planned) = queue.planned.get(at) else {
                return;
            };
            let prepared = prepare(place, &queue.dir.join(at.to_string()));
            let record = match prepared {
                Ok((host, dir)) => self.try_one(&place.subject, planned, host, &dir),
                Err(error) => self.record(planned, Err(Finding::from(error))),
            };
            if interrupt::is_asked() {
                // what came of a call that was ended says nothing of the plugin
                return;
            }
            if self.fail_fast && record.outcome == Outcome::Failed {
                queue.ended.store(true, Ordering::Relaxed);
            }
            if sender.send((at, record)).is_err() {
                return;
            }
        }
    }
}

fn prepare(place: &Place, dir: &Path) -> anyhow::Result<(Netns, PathBuf)> {
    let host = place.host()?;
    fs::create_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok((host, dir.to_owned()))
}
