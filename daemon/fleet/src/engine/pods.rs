//! Pods and the runtime that asks for them: kubelet comes again after a refusal, and a pod lives from when it has its address.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::Timestamp;

use super::queue::Event;
use super::{Broken, Engine};
use crate::node::{Input, PodId};
use crate::random::{Purpose, between, stream};

/// When kubelet comes again after a failed ADD (measured with containerd: users' logs have 10 to 15 s; the kinder figure).
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(12));

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug)]
pub enum Pod {
    /// Its runtime has not asked yet.
    Unborn,
    /// Its runtime waits for an answer.
    Asking(Asked),
    /// Its runtime comes again.
    Refused(Asked),
    /// It runs.
    Running(Ipv4Addr),
    /// It has gone.
    Gone,
}

/// How a pod has asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    first: Timestamp,
    tries: usize,
}

impl Engine<'_> {
    /// A node hears of a pod, unless it has already met it.
    pub(super) fn bound(&mut self, pod: PodId) -> Result<(), Broken> {
        match self.pods[pod] {
            Pod::Unborn => self.feed(self.node_of(pod), Input::Bound { pod }),
            _ => Ok(()),
        }
    }

    pub(super) fn add(&mut self, pod: PodId) -> Result<(), Broken> {
        let asked = match self.pods[pod] {
            Pod::Unborn => Asked {
                first: self.now,
                tries: 1,
            },
            Pod::Refused(Asked { first, tries }) => Asked {
                first,
                tries: tries + 1,
            },
            Pod::Asking(_) | Pod::Running(_) | Pod::Gone => return Ok(()),
        };
        self.pods[pod] = Pod::Asking(asked);
        self.feed(self.node_of(pod), Input::Add { pod })
    }

    pub(super) fn del(&mut self, pod: PodId) -> Result<(), Broken> {
        let Pod::Running(address) = self.pods[pod] else {
            return Ok(());
        };
        let node = self.node_of(pod);
        self.pods[pod] = Pod::Gone;
        self.hosts[node].vacate(address, self.now);
        self.meter.gone(node, self.now);
        self.feed(node, Input::Del { pod })
    }

    /// A node answers an ADD with an address, which must be one that the pod can use and nobody else has.
    pub(super) fn serve(
        &mut self,
        node: usize,
        pod: PodId,
        address: Ipv4Addr,
    ) -> Result<(), Broken> {
        let asked = self.asking(node, pod)?;
        let usable =
            self.ec2.carries(node, address, self.now) || self.hosts[node].has_range_with(address);
        if !usable {
            let what = format!("gave {address} to pod {pod}, which no ready ENI of it has");
            return Err(self.broken(node, what));
        }
        let occupied = self.hosts[node].occupy(address, pod, self.now);
        occupied.map_err(|what| self.broken(node, what))?;
        self.pods[pod] = Pod::Running(address);
        let waited = self.now.since(asked.first);
        self.meter.served(node, waited, self.counts(pod), self.now);
        let end = self.now.after(self.described(pod).lives);
        self.queue.at(end, Event::Del(pod));
        Ok(())
    }

    pub(super) fn refuse(&mut self, node: usize, pod: PodId) -> Result<(), Broken> {
        let asked = self.asking(node, pod)?;
        self.pods[pod] = Pod::Refused(asked);
        self.meter.refused_add(self.now);
        let mut random = stream(self.options.seed, Purpose::Retry, pod, asked.tries);
        let wait = between(&mut random, RETRY.0, RETRY.1);
        self.queue.at(self.now.after(wait), Event::Add(pod));
        Ok(())
    }

    /// How a pod asked, whose ADD a node answers.
    fn asking(&self, node: usize, pod: PodId) -> Result<Asked, Broken> {
        match self.pods.get(pod) {
            Some(Pod::Asking(asked)) if self.node_of(pod) == node => Ok(*asked),
            _ => Err(self.broken(
                node,
                format!("answered an ADD of pod {pod} that is not there"),
            )),
        }
    }

    /// Whether a pod is one of those that are measured: bound in the window.
    fn counts(&self, pod: PodId) -> bool {
        let bound = self.described(pod).bound;
        self.scenario.from <= bound && bound < self.scenario.until
    }

    /// The end has come: who still waits has waited in vain.
    pub(super) fn starve(&mut self) {
        for pod in 0..self.pods.len() {
            let (Pod::Asking(asked) | Pod::Refused(asked)) = self.pods[pod] else {
                continue;
            };
            if self.counts(pod) {
                self.meter.starved(self.now.since(asked.first));
            }
        }
    }
}
