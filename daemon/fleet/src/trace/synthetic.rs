//! A trace in the shape of the 2023 one, for where that is not at hand: nothing of it but a few figures of its statistics is
//! in here. It is good for trying the program and for comparing policies with each other; figures of a report come from the
//! real trace, and everything that is made from this one says `synthetic`.
//!
//! | | 2023 trace, days 115 to 149 | here |
//! |---|---|---|
//! | pods a day | 211 on average, 99 to 603 | 211, each day times a log-normal factor (sigma 0.4) |
//! | in the course of a day | the busiest hour 3.7 times the quietest | a sine with its peak at 23:00, 3.7 times the trough |
//! | lives | 10 %: 74 s, median 611 s, 90 %: 7,480 s, 95 %: 16,969 s | log-normal, median 611 s, sigma 1.95 |
//! | long lives | 1 % beyond 21 hours | 1 %: exponential, mean 8 days |
//! | pods from before | 27 | 27, to the end |
//! | CPU | 10.5 cores on average, 3 to 32 | `CPUS`, 10.5 on average |

use std::f64::consts::TAU;
use std::time::Duration;

use rand::RngExt;
use rand_distr::{Distribution, Exp, LogNormal, Poisson};

use super::{DAY, Source, Trace, TracePod};
use crate::random::{Purpose, Random, between, stream};

/// Days: one before the window, 34 in it, and the last, which no window has.
const DAYS: u32 = 36;
const PODS_A_DAY: f64 = 211.0;
const DAYS_DIFFER: f64 = 0.4;
/// (3.7 - 1) / (3.7 + 1).
const RHYTHM: f64 = 0.575;
const PEAK_HOUR: f64 = 23.0;
const MEDIAN_LIFE: f64 = 611.0;
const LIVES_DIFFER: f64 = 1.95;
const LONG_LIVES: f64 = 0.01;
const LONG_LIFE_DAYS: f64 = 8.0;
const STANDING: u32 = 27;
/// Cores that pods ask for, and how many of 20 pods do.
const CPUS: [(f64, u32); 5] = [(3.2, 5), (8.0, 4), (12.0, 8), (16.0, 2), (32.0, 1)];
/// Of most nodes.
const NODE_CPU_MILLI: f64 = 96_000.0;

/// Makes the trace of `seed`.
pub fn trace(seed: u64) -> Trace {
    let mut random = stream(seed, Purpose::Scenario, usize::MAX, 0);
    let end = DAY * DAYS;
    let mut pods: Vec<TracePod> = (0..STANDING)
        .map(|_| TracePod {
            scheduled: Duration::ZERO,
            deleted: end,
            cpu_milli: cpu_milli(&mut random),
        })
        .collect();
    // The first day is left empty: the window begins after it.
    for day in 1..DAYS {
        let busy = sample(LogNormal::new(0.0, DAYS_DIFFER).ok(), &mut random, 1.0);
        let count = sample(
            Poisson::new(PODS_A_DAY * busy).ok(),
            &mut random,
            PODS_A_DAY,
        );
        for _ in 0..count as u64 {
            let scheduled = DAY * day + time_of_day(&mut random);
            pods.push(TracePod {
                scheduled,
                deleted: scheduled + life(&mut random),
                cpu_milli: cpu_milli(&mut random),
            });
        }
    }
    pods.sort_by_key(|pod| pod.scheduled);
    Trace {
        source: Source::Synthetic,
        pods,
        node_cpu_milli: NODE_CPU_MILLI,
    }
}

/// Drawn by rejection: the sine is the share of candidates that are kept.
fn time_of_day(random: &mut Random) -> Duration {
    loop {
        let time = between(random, Duration::ZERO, DAY);
        let hour = time.as_secs_f64() / 3600.0;
        let busy = 1.0 + RHYTHM * (TAU * (hour - PEAK_HOUR) / 24.0).cos();
        if random.random::<f64>() * (1.0 + RHYTHM) < busy {
            return time;
        }
    }
}

fn life(random: &mut Random) -> Duration {
    let seconds = if random.random::<f64>() < LONG_LIVES {
        let mean = LONG_LIFE_DAYS * DAY.as_secs_f64();
        sample(Exp::new(1.0 / mean).ok(), random, mean)
    } else {
        let factor = sample(LogNormal::new(0.0, LIVES_DIFFER).ok(), random, 1.0);
        MEDIAN_LIFE * factor
    };
    Duration::from_secs_f64(seconds.clamp(4.0, 30.0 * DAY.as_secs_f64()))
}

fn cpu_milli(random: &mut Random) -> f64 {
    let total = CPUS.iter().map(|(_, weight)| weight).sum();
    let mut draw = random.random_range(0..total);
    for (cores, weight) in CPUS {
        if draw < weight {
            return cores * 1000.0;
        }
        draw -= weight;
    }
    0.0
}

/// A number of `distribution`; `otherwise` for parameters that make none, which the constants above do not.
fn sample(
    distribution: Option<impl Distribution<f64>>,
    random: &mut Random,
    otherwise: f64,
) -> f64 {
    distribution.map_or(otherwise, |distribution| distribution.sample(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_shape_that_its_table_claims() {
        let trace = trace(1);
        assert_eq!(trace.window(), DAY..DAY * (DAYS - 1));
        let pods = &trace.pods[STANDING as usize..];
        assert!((5_500..9_500).contains(&pods.len()), "{}", pods.len());
        let mut lives: Vec<_> = pods.iter().map(|pod| pod.life().as_secs_f64()).collect();
        lives.sort_by(f64::total_cmp);
        let share = |share: f64| lives[(share * lives.len() as f64) as usize];
        assert!((45.0..80.0).contains(&share(0.1)), "{}", share(0.1));
        assert!((500.0..750.0).contains(&share(0.5)), "{}", share(0.5));
        assert!((5_500.0..9_500.0).contains(&share(0.9)), "{}", share(0.9));
        let cpu: f64 = pods.iter().map(|pod| pod.cpu_milli).sum::<f64>() / pods.len() as f64;
        assert!((10_000.0..11_000.0).contains(&cpu), "{cpu}");
        let hour = |hour| {
            pods.iter()
                .filter(|pod| pod.scheduled.as_secs() / 3600 % 24 == hour)
                .count()
        };
        assert!(hour(23) > 2 * hour(11), "{} {}", hour(23), hour(11));
    }

    #[test]
    fn a_seed_is_a_trace() {
        assert_eq!(trace(3), trace(3));
        assert_ne!(trace(3).pods, trace(4).pods);
    }
}
