//! kill -9 at every step: a script of ADDs, DELs and all that ENIs go through is run once for each poll of the actor at
//! which it can die, and goes on with the next daemon as a runtime would.

use std::time::Duration;

use berth_cni::contract::Outcome;
use ec2::fake::FakeSetup;
use tokio::time::sleep;

use super::invariants::Live;
use super::node::{A_WHILE, MILLISECOND, MINUTE, Node, SECOND, alias};
use crate::dataplane::fake::Verb;

/// A runtime on a node whose daemon dies.
struct Runtime {
    node: Node,
    live: Live,
    deaths: usize,
    /// How many daemons die; the next one lives.
    mortal: usize,
}

/// Everything takes time, so that a death can be in the middle of it: a write ends before the links stand, or after.
fn slow_node(write: Duration) -> Node {
    let node = Node::without_daemon(FakeSetup::default(), &[]);
    node.cloud.set_default_latency(100 * MILLISECOND);
    node.cloud.set_attach_delay(SECOND);
    node.cloud.set_detach_delay(SECOND);
    node.disk.take(write);
    for verb in [Verb::ApplyNode, Verb::ApplyPod, Verb::RemovePod] {
        node.kernel.set_delay(verb, 25 * MILLISECOND);
    }
    node
}

impl Runtime {
    /// The first `mortal` daemons die at the poll of that number.
    fn start(polls: usize, mortal: usize, write: Duration) -> Self {
        let mut node = slow_node(write);
        node.die_after(polls);
        node.boot();
        Self {
            node,
            live: Live::new(),
            deaths: 0,
            mortal,
        }
    }

    /// Starts the next daemon if the last one is dead. What was answered stands whatever happened.
    async fn revive(&mut self) {
        if self.node.is_alive() {
            return;
        }
        self.deaths += 1;
        let pods = self.node.kernel.pods();
        for (sandbox, address) in &self.live {
            let stands = pods.get(&alias(sandbox)).and_then(|pod| pod.address);
            assert_eq!(stands, Some(*address), "{sandbox} after the crash");
        }
        if self.deaths == self.mortal {
            self.node.live_on();
        }
        self.node.restart().await;
    }

    /// ADDs at once; those that a crash cuts off are repeated by their own process, or given up by the runtime, which
    /// deletes the sandbox and makes another one, in turns.
    async fn add(&mut self, sandboxes: &[String]) {
        let adds: Vec<_> = sandboxes.iter().map(|s| self.node.add(s)).collect();
        let mut again = Vec::new();
        for (n, (sandbox, add)) in sandboxes.iter().zip(adds).enumerate() {
            match add.await.unwrap() {
                Outcome::Added(added) => {
                    self.live.insert(sandbox.clone(), added.address);
                }
                Outcome::Failed(failure) if failure.code == 11 => again.push((n, sandbox)),
                other => panic!("{sandbox}: {other:?}"),
            }
        }
        let mut others = Vec::new();
        for (n, sandbox) in again {
            others.push(match n % 2 {
                0 => sandbox.clone(),
                _ => {
                    self.del(sandbox).await;
                    format!("{sandbox}'")
                }
            });
        }
        self.revive().await;
        if !others.is_empty() {
            Box::pin(self.add(&others)).await;
        }
    }

    async fn del(&mut self, sandbox: &str) {
        // From here on nothing is promised for it.
        self.live.remove(sandbox);
        while self.node.del(sandbox).await.unwrap() != Outcome::Deleted {
            self.revive().await;
        }
    }

    async fn rest(&mut self, minutes: u32) {
        sleep(minutes * MINUTE).await;
        self.revive().await;
    }

    /// Up to two ENIs, down to one, and up again.
    async fn script(&mut self) {
        let first: Vec<String> = (0..12).map(|n| format!("p{n}")).collect();
        self.add(&first).await;
        self.rest(1).await;
        let there: Vec<String> = self.live.keys().cloned().collect();
        for sandbox in &there[2..] {
            self.del(sandbox).await;
        }
        // An ENI without pods goes after a quarter of an hour.
        self.rest(20).await;
        let second: Vec<String> = (20..23).map(|n| format!("p{n}")).collect();
        self.add(&second).await;
    }

    /// The last daemon lives long enough to mend what the others left.
    async fn check(&mut self) {
        self.node.live_on();
        self.revive().await;
        sleep(40 * MINUTE).await;
        assert!(self.node.is_alive());
        assert_eq!(self.live.len(), 5);
        self.node.assert_sound(&self.live).await;
        let free = self.node.report().await.addresses.free;
        assert!((1..=2).contains(&free), "{free} free");
    }
}

/// Answers how many daemons died.
async fn run(polls: usize, mortal: usize, write: Duration) -> usize {
    let mut runtime = Runtime::start(polls, mortal, write);
    runtime.script().await;
    runtime.check().await;
    runtime.deaths
}

#[tokio::test(start_paused = true)]
async fn a_daemon_may_die_at_any_step() {
    for write in [10 * MILLISECOND, 60 * MILLISECOND] {
        let mut polls = 1;
        while run(polls, 1, write).await > 0 {
            polls += 1;
        }
        // The whole script ran without a death only then.
        assert!(polls > 100, "{polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn daemons_may_die_again_and_again() {
    for polls in 5..60 {
        let deaths = run(polls, 12, 60 * MILLISECOND).await;
        assert!(deaths >= 2, "{deaths} deaths after {polls} polls each");
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_lives_an_instant_is_succeeded_by_one_that_serves() {
    let mut node = slow_node(10 * MILLISECOND);
    for polls in 0..20 {
        node.die_after(polls);
        node.restart().await;
        sleep(A_WHILE).await;
    }
    node.live_on();
    node.restart().await;
    let answers = node.added_at_once(0..2).await;
    sleep(MINUTE).await;
    node.assert_sound(&super::invariants::live(0..2, &answers))
        .await;
}
