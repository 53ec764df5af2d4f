//! `kill -9` at random moments, many times, while pods come and go: nobody loses an address, nobody gets another's.
//!
//! Real daemon, real plugin, real packets, mock EC2. Set `BERTH_CRASH_SEED` to the printed seed to repeat a run's
//! decisions (the interleaving of processes is the machine's own).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member, shared_address};
use e2e::mock::{CloudConfig, Latency};
use e2e::netns::require_netns;
use e2e::netns::snapshot::Snapshot;
use e2e::node::pod::Pod;
use e2e::probe::Patience;
use e2e::probe::sweep::{Leg, ping_all};
use e2e::runtime::failure::ChainFailure;

/// How often the daemon is killed at least.
const KILLS: u32 = 30;
/// ADDs and DELs in all, at least.
const OPERATIONS: u32 = 300;
/// Of these, at once in each round, with one or two kills among them.
const AT_ONCE: usize = 10;
/// 4 ENIs with 14 secondary addresses each.
const INSTANCE_TYPE: &str = "m5.xlarge";
/// Fewer live pods than this: only ADDs. More than twice as many: only DELs.
const FEW: usize = 8;
/// Short, so that addresses are given out again within the test.
const COOLDOWN: Duration = Duration::from_secs(3);
/// As `ip route` shows the table of the pods' routes.
const POD_TABLE: &str = "table 20512";
/// "Try again later": the only way in which an ADD may fail because of a crash.
const TRY_AGAIN: u64 = 11;

/// Decisions from a seed: splitmix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn millis(&mut self, limit: u64) -> Duration {
        Duration::from_millis(self.below(limit))
    }
}

/// What is done by one thread of a round.
enum Operation {
    Add(String),
    Del(Box<Pod>),
}

/// All that is known from outside: the live pods, and since when an address may have been free.
#[derive(Default)]
struct Ledger {
    live: Vec<Pod>,
    freed: BTreeMap<Ipv4Addr, Instant>,
    adds: u32,
    refused: u32,
    dels: u32,
    reused: u32,
}

impl Ledger {
    fn operations(&self) -> u32 {
        self.adds + self.refused + self.dels
    }

    fn added(&mut self, pod: Pod) -> anyhow::Result<()> {
        if let Some(freed) = self.freed.remove(&pod.address) {
            ensure!(
                freed.elapsed() >= COOLDOWN,
                "{} was reissued {:?} after its DEL began",
                pod.address,
                freed.elapsed()
            );
            self.reused += 1;
        }
        self.adds += 1;
        self.live.push(pod);
        match shared_address(&self.live) {
            Some(address) => bail!("{address} is with two pods"),
            None => Ok(()),
        }
    }
}

#[test]
fn pods_survive_a_daemon_that_is_killed_all_the_time() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = std::env::var("BERTH_CRASH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(now);
    eprintln!("BERTH_CRASH_SEED={seed}");
    run(seed).with_context(|| format!("BERTH_CRASH_SEED={seed}"))
}

fn run(seed: u64) -> anyhow::Result<()> {
    let mut dice = Dice(seed);
    let config = CloudConfig {
        name: "crash".to_owned(),
        seed,
        latency: Latency::flat(Duration::from_millis(60)),
        attach_delay: Duration::from_millis(200),
        ..CloudConfig::fast()
    };
    let cooldown = COOLDOWN.as_secs().to_string();
    let cluster = Cluster::launch_with(
        config,
        INSTANCE_TYPE,
        1,
        &[("IP_COOLDOWN_PERIOD", &cooldown)],
    )?;
    cluster.start_daemons()?;
    let member = &cluster.members[0];
    let ledger = Mutex::new(Ledger::default());
    let mut kills = 0;
    while kills < KILLS || ledger.lock().unwrap().operations() < OPERATIONS {
        kills += round(member, &ledger, &mut dice)?;
        verify(member, &ledger.lock().unwrap())?;
    }
    let ledger = ledger.into_inner().unwrap();
    let held = member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    eprintln!(
        "{kills} kills, {} ADDs ({} put off), {} DELs, {} live pods, {} addresses given again, {held} held",
        ledger.adds,
        ledger.refused,
        ledger.dels,
        ledger.live.len(),
        ledger.reused
    );
    ensure!(ledger.adds > ledger.refused, "most ADDs were put off");
    delete_all(member, ledger.live)
}

/// The daemon knows none of the pods afterwards, and the kernel has nothing of them.
fn delete_all(member: &Member, pods: Vec<Pod>) -> anyhow::Result<()> {
    let traces = traces_of_pods(member)?.len();
    ensure!(
        traces >= 2 * pods.len(),
        "only {traces} links and routes for {} pods",
        pods.len()
    );
    for pod in pods {
        member.node.del_pod(pod)?;
    }
    let left = member.node.status()?.attachments;
    ensure!(left.is_empty(), "attachments without pods: {left:?}");
    Patience::USUAL.retry(|_| {
        let left = traces_of_pods(member)?;
        ensure!(left.is_empty(), "left of pods that are gone: {left:?}");
        Ok(())
    })
}

/// The links and routes of pods that a node has.
fn traces_of_pods(member: &Member) -> anyhow::Result<Vec<String>> {
    let state = Snapshot::take(member.node.netns())?;
    let link = |line: &&String| line.starts_with("eni") || line.starts_with("gone");
    let route = |line: &&String| line.contains(POD_TABLE);
    let links = state.section("link").iter().filter(link);
    Ok(links
        .chain(state.section("route").iter().filter(route))
        .cloned()
        .collect())
}

/// Some operations at once, a kill at a random moment of them, a restart, sometimes a second kill while the daemon is
/// still finding its way. Returns how often it was killed; all operations have ended.
fn round(member: &Member, ledger: &Mutex<Ledger>, dice: &mut Dice) -> anyhow::Result<u32> {
    let operations = choose(&mut ledger.lock().unwrap(), dice);
    let mut moments = vec![(dice.millis(120), dice.millis(300))];
    if dice.below(4) == 0 {
        moments.push((dice.millis(60), dice.millis(300)));
    }
    let results: Vec<anyhow::Result<()>> = thread::scope(|scope| {
        let perform = |operation| scope.spawn(move || perform(member, ledger, operation));
        let threads: Vec<_> = operations.into_iter().map(perform).collect();
        let crashed = moments
            .iter()
            .try_for_each(|(until, dead)| crash(member, *until, *dead));
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("an operation panicked"));
        joined.chain([crashed]).collect()
    });
    results.into_iter().collect::<anyhow::Result<()>>()?;
    Ok(u32::try_from(moments.len())?)
}

/// Decides on the operations of a round; pods to be deleted leave the ledger. A name is used again as soon as its pod
/// is on its way out, as a StatefulSet does: the new sandbox's ADD may then overtake the old one's DEL.
fn choose(ledger: &mut Ledger, dice: &mut Dice) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut taken: BTreeSet<String> = ledger.live.iter().map(|pod| pod.name.clone()).collect();
    for _ in 0..AT_ONCE {
        let live = ledger.live.len();
        let add = live < FEW || (live <= 2 * FEW && dice.below(2) == 0);
        if add {
            let free = (0..)
                .map(|number| format!("pod-{number}"))
                .find(|name| !taken.contains(name));
            let name = free.unwrap();
            taken.insert(name.clone());
            operations.push(Operation::Add(name));
        } else {
            let at = usize::try_from(dice.below(live as u64)).unwrap();
            let pod = ledger.live.swap_remove(at);
            taken.remove(&pod.name);
            operations.push(Operation::Del(Box::new(pod)));
        }
    }
    operations
}

fn perform(member: &Member, ledger: &Mutex<Ledger>, operation: Operation) -> anyhow::Result<()> {
    match operation {
        Operation::Add(name) => match member.node.add_pod(&name, &[]) {
            Ok(pod) => ledger.lock().unwrap().added(pod),
            Err(error) => {
                let put_off = error
                    .downcast_ref::<ChainFailure>()
                    .and_then(ChainFailure::reported);
                ensure!(
                    put_off.is_some_and(|error| error.code == TRY_AGAIN),
                    "{error:#}"
                );
                ledger.lock().unwrap().refused += 1;
                Ok(())
            }
        },
        Operation::Del(pod) => {
            ledger
                .lock()
                .unwrap()
                .freed
                .insert(pod.address, Instant::now());
            member.node.del_pod(*pod)?;
            ledger.lock().unwrap().dels += 1;
            Ok(())
        }
    }
}

fn crash(member: &Member, until: Duration, dead: Duration) -> anyhow::Result<()> {
    thread::sleep(until);
    member.node.kill_daemon()?;
    thread::sleep(dead);
    member.node.start_daemon(DAEMON_PATIENCE)
}

/// Every live pod is reached by its node and reaches the next pod, and the daemon knows the live pods and no others.
fn verify(member: &Member, ledger: &Ledger) -> anyhow::Result<()> {
    let node = member.node.netns();
    let mut legs = Vec::new();
    for (pod, next) in ledger.live.iter().zip(ledger.live.iter().cycle().skip(1)) {
        legs.push(Leg {
            name: node.name(),
            from: node,
            to: pod.address,
        });
        legs.push(Leg {
            name: &pod.name,
            from: &pod.netns,
            to: member.address(),
        });
        legs.push(Leg {
            name: &pod.name,
            from: &pod.netns,
            to: next.address,
        });
    }
    ping_all(&legs, Patience::USUAL)?;
    let live: BTreeSet<_> = ledger
        .live
        .iter()
        .map(|pod| (pod.attachment.container_id.clone(), pod.address))
        .collect();
    let deadline = Instant::now() + DAEMON_PATIENCE;
    loop {
        let status = member.node.status()?;
        let known: BTreeSet<_> = status
            .attachments
            .into_iter()
            .map(|known| (known.container_id, known.address))
            .collect();
        if known == live {
            return Ok(());
        }
        // a DEL that found no daemon left a tombstone, which the new one replays after it listens
        ensure!(
            Instant::now() < deadline,
            "live pods {live:?}, the daemon knows {known:?}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}
