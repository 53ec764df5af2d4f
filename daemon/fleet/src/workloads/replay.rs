//! The four workloads that replay a trace:
//!
//! - `raw`: its [window](Trace::window) in real time after a day of prelude, spread by CPU. Nodes of the trace's usual size,
//!   about three of its pods on each on average, and three DaemonSet pods.
//! - `x60`: the same at sixty times the speed. Lives shrink as well, the 30 s that an address rests do not.
//! - `fold`: all days of the window laid over each other, after an hour of prelude: lives are kept, so there are more pods at
//!   a time and more nodes. What lives for more than a day lives for the whole day, and who lives on after midnight is
//!   there in the morning as well, as on every day of a steady cluster.
//! - `dense`: `fold` on few small nodes (8 ENIs of 30 addresses), about seventeen of its pods on each, placed by number.
//!
//! A pod has the node that was least loaded when it was scheduled; memory, GPUs and taints are left out. Only sizes and
//! times are the trace's: its nodes had no ENIs.

use std::ops::Range;
use std::time::Duration;

use super::build::{Builder, Shape, secs};
use super::placement::{Life, spread};
use crate::scenario::Scenario;
use crate::trace::{DAY, Trace, TracePod};

/// The trace's pods on a node of `raw`, `x60` and `fold`, averaged over time: 12 and 110 nodes for the 2023 trace.
const SPARSE: f64 = 3.02;
/// And of `dense`: 20 nodes.
const DENSE: f64 = 17.0;
/// CPU of all nodes together over what the pods ask for at most.
const HEADROOM: f64 = 1.5;
const DAEMONSETS: u32 = 3;
/// Nodes join in this time,
const JOINS: Range<Duration> = secs(1)..secs(11);
/// and pods from before the start are bound in this.
const BEFORE: Range<Duration> = secs(20)..secs(80);
const HOUR: Duration = secs(3600);
/// No pod is gone faster (the trace's shortest life is 4 s, which `x60` would make 67 ms).
const SHORTEST: Duration = secs(1);

/// How nodes are to be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Large nodes, by CPU.
    ByCpu,
    /// Small nodes, by number of pods.
    ByCount,
}

/// `raw` (`speed` 1) and `x60`.
pub fn in_order(name: &str, trace: &Trace, speed: u32, seed: u64) -> Scenario {
    let (lives, measured) = in_window(trace, speed);
    fill(name, trace, lives, measured, Placed::ByCpu, seed)
}

/// The pods of the trace's window and of a day that leads up to it, `speed` times as fast, and when the window is then.
pub fn in_window(trace: &Trace, speed: u32) -> (Vec<Life>, Range<Duration>) {
    let window = trace.window();
    let prelude = DAY.min(window.start);
    let start = window.start - prelude;
    let lives = (trace.pods.iter())
        .filter(|pod| pod.deleted > start && pod.scheduled < window.end)
        .map(|pod| Life {
            from: pod.scheduled.saturating_sub(start) / speed,
            until: (pod.deleted - start) / speed,
            load: pod.cpu_milli,
        });
    let measured = prelude / speed..(window.end - start) / speed;
    (lives.collect(), measured)
}

/// `fold` and `dense`.
pub fn folded(name: &str, trace: &Trace, placed: Placed, seed: u64) -> Scenario {
    let window = trace.window();
    let mut lives = Vec::new();
    for pod in trace
        .pods
        .iter()
        .filter(|pod| pod.deleted > window.start && pod.scheduled < window.end)
    {
        lives.extend(on_the_day(pod, &window));
    }
    if placed == Placed::ByCount {
        lives.iter_mut().for_each(|life| life.load = 1.0);
    }
    fill(name, trace, lives, HOUR..HOUR + DAY, placed, seed)
}

/// When `pod` is there in the one day that follows an hour of prelude: in its course, and if the day before leads into it,
/// from the start on.
fn on_the_day(pod: &TracePod, window: &Range<Duration>) -> impl Iterator<Item = Life> {
    let life = pod.life().min(DAY);
    let load = pod.cpu_milli;
    let since = pod.scheduled.checked_sub(window.start);
    let today = since.map(|since| {
        let from = HOUR + Duration::from_nanos((since.as_nanos() % DAY.as_nanos()) as u64);
        Life {
            from,
            until: from + life,
            load,
        }
    });
    let yesterday = match today {
        Some(Life { from, until, .. }) => (until > DAY).then(|| Life {
            from: from.saturating_sub(DAY),
            until: until - DAY,
            load,
        }),
        None => Some(Life {
            from: Duration::ZERO,
            until: HOUR + (pod.deleted - window.start).min(DAY),
            load,
        }),
    };
    yesterday.into_iter().chain(today)
}

/// The scenario in which `lives` are lived.
fn fill(
    name: &str,
    trace: &Trace,
    mut lives: Vec<Life>,
    measured: Range<Duration>,
    placed: Placed,
    seed: u64,
) -> Scenario {
    let mut builder = Builder::new(name, seed);
    for life in &mut lives {
        if life.from < BEFORE.end {
            life.from = builder.within(&BEFORE);
        }
        life.until = life.until.max(life.from + SHORTEST);
    }
    lives.retain(|life| life.from < measured.end);
    lives.sort_by_key(|life| life.from);
    let (shape, count) = match placed {
        Placed::ByCpu => sparse(trace, &lives, &measured),
        Placed::ByCount => (
            Shape::m5_4xlarge(),
            (pods(&lives, &measured) / DENSE).round().max(1.0) as usize,
        ),
    };
    let nodes = builder.roomy(&shape, count, JOINS);
    builder.daemonsets(DAEMONSETS);
    let placed = spread(&lives, &nodes, builder.random());
    for (life, node) in lives.iter().zip(placed) {
        builder.pod(node, life.from, life.until - life.from);
    }
    builder.build(measured)
}

/// Nodes of the trace's usual size: enough for the CPU, and for not more than a few pods on each.
pub fn sparse(trace: &Trace, lives: &[Life], measured: &Range<Duration>) -> (Shape, usize) {
    let by_cpu = (HEADROOM * peak(lives) / trace.node_cpu_milli).ceil();
    let by_number = (pods(lives, measured) / SPARSE).floor();
    let count = by_cpu.max(by_number).max(1.0) as usize;
    (of_cores(trace.node_cpu_milli / 1000.0), count)
}

/// The smallest m5 with so many cores, or the largest one (DescribeInstanceTypes).
fn of_cores(cores: f64) -> Shape {
    const M5: [(&str, u32, u32, u32); 8] = [
        ("m5.large", 3, 10, 2),
        ("m5.xlarge", 4, 15, 4),
        ("m5.2xlarge", 4, 15, 8),
        ("m5.4xlarge", 8, 30, 16),
        ("m5.8xlarge", 8, 30, 32),
        ("m5.12xlarge", 8, 30, 48),
        ("m5.16xlarge", 15, 50, 64),
        ("m5.24xlarge", 15, 50, 96),
    ];
    let large_enough = M5
        .iter()
        .find(|(_, _, _, vcpus)| f64::from(*vcpus) >= cores);
    large_enough.map_or_else(Shape::m5_24xlarge, |(name, enis, ipv4, vcpus)| {
        Shape::new(name, *enis, *ipv4, *vcpus)
    })
}

/// How many there are at a time, averaged over `measured`.
fn pods(lives: &[Life], measured: &Range<Duration>) -> f64 {
    let lived: f64 = (lives.iter())
        .map(|life| {
            let end = life.until.min(measured.end);
            end.saturating_sub(life.from.max(measured.start))
                .as_secs_f64()
        })
        .sum();
    lived / (measured.end - measured.start).as_secs_f64()
}

/// The highest load of all together.
fn peak(lives: &[Life]) -> f64 {
    let comings = lives.iter().map(|life| (life.from, life.load));
    let goings = lives.iter().map(|life| (life.until, -life.load));
    let mut changes: Vec<_> = comings.chain(goings).collect();
    changes.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let mut load = 0.0;
    changes.into_iter().fold(0.0_f64, |peak, (_, change)| {
        load += change;
        peak.max(load)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Pod;
    use crate::trace::synthetic;
    use crate::workloads::build::since_start;

    fn there(pods: &[Pod], at: Duration) -> usize {
        pods.iter()
            .filter(|pod| {
                let bound = since_start(pod.bound);
                bound <= at && at < bound + pod.lives
            })
            .count()
    }

    #[test]
    fn folding_keeps_a_day_as_full_at_its_start_as_at_its_end() {
        let trace = synthetic::trace(1);
        let fold = folded("fold", &trace, Placed::ByCpu, 1);
        let (morning, night) = (
            there(&fold.pods, HOUR),
            there(&fold.pods, HOUR + DAY - secs(1)),
        );
        let nodes = fold.nodes.len() * DAEMONSETS as usize;
        assert!(morning > nodes + 100, "{morning}");
        assert!(morning.abs_diff(night) * 10 < morning, "{morning} {night}");
    }

    #[test]
    fn a_folded_pod_is_there_at_its_hour_and_in_the_morning_if_it_lives_past_midnight() {
        let window = 10 * DAY..20 * DAY;
        let pod = |day: u32, hour: u32, lives: u32| TracePod {
            scheduled: day * DAY + hour * HOUR,
            deleted: day * DAY + (hour + lives) * HOUR,
            cpu_milli: 1.0,
        };
        let hours = |pod| -> Vec<_> {
            on_the_day(&pod, &window)
                .map(|life| (life.from.as_secs() / 3600, life.until.as_secs() / 3600))
                .collect()
        };
        // The day is from hour 1 to hour 25.
        assert_eq!(hours(pod(13, 10, 2)), [(11, 13)]);
        assert_eq!(hours(pod(13, 22, 5)), [(0, 4), (23, 28)]);
        assert_eq!(hours(pod(19, 6, 99)), [(0, 7), (7, 31)]);
        assert_eq!(hours(pod(9, 0, 30)), [(0, 7)]);
    }

    #[test]
    fn sixty_times_faster_is_a_sixtieth_of_the_time_and_of_the_lives() {
        let trace = synthetic::trace(1);
        let (raw, x60) = (
            in_order("raw", &trace, 1, 1),
            in_order("x60", &trace, 60, 1),
        );
        assert_eq!(raw.nodes.len(), x60.nodes.len());
        let length = |scenario: &Scenario| scenario.until.since(scenario.from);
        assert_eq!(length(&raw) / 60, length(&x60));
        assert_eq!(there(&raw.pods, 20 * DAY), there(&x60.pods, 20 * DAY / 60));
    }

    #[test]
    fn any_size_of_node_has_a_shape() {
        assert_eq!(of_cores(0.5).instance_type, "m5.large");
        assert_eq!(of_cores(32.0).instance_type, "m5.8xlarge");
        assert_eq!(of_cores(104.0).instance_type, "m5.24xlarge");
    }
}
