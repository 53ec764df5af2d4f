//! How long EC2 takes. Log-normal, which has the long tail that calls have; medians and tails are what users and other
//! projects have measured.

use std::time::Duration;

use ipam::Verb;
use rand::RngExt;

use crate::random::{Random, between, log_normal};

/// The 99th percentile of Assign is 0.8 s at a median of 0.35 s; others were measured too seldom to differ.
const SIGMA: f64 = 0.355;

/// An answer that says no: CreateNetworkInterface without room took 0.20 s (vpc-cni#3105).
const REFUSAL: Duration = Duration::from_millis(200);

/// Until EC2 answers a call that it does.
pub fn of_call(verb: Verb, random: &mut Random) -> Duration {
    let median = match verb {
        // 10 of 11 Unassigns within 0.25 to 0.5 s (integrations-core#10143); first Assign 0.4 to 0.6 s (vpc-cni#648).
        Verb::Assign | Verb::Unassign => 350,
        Verb::Create => 450,
        // Mean 0.74 s, all of six within 1 s (integrations-core#10143).
        Verb::Attach => 720,
        // Mean 0.34 s (integrations-core#10143).
        Verb::Protect => 330,
        Verb::Detach => 500,
        // 0.22 to 0.27 s (vpc-cni#624).
        Verb::Delete => 250,
        // Filtered: about 0.18 s (vpc-cni#624).
        Verb::Describe | Verb::Connect => 180,
    };
    log_normal(random, Duration::from_millis(median), SIGMA)
}

/// Until EC2 says that it does not.
pub fn of_refusal(random: &mut Random) -> Duration {
    log_normal(random, REFUSAL, SIGMA)
}

/// From an answered attach until the node has the link: usually under 5 s in all (cilium#16494), with a tail that has made
/// people wait for 150 s (cilium#47570).
pub fn of_link(random: &mut Random) -> Duration {
    let usual = log_normal(random, Duration::from_millis(1700), 0.55);
    match random.random_bool(0.01) {
        true => usual + between(random, Duration::from_secs(5), Duration::from_secs(20)),
        false => usual,
    }
}

/// From an answered detach until the ENI can be deleted: about 2 to 3 s (vpc-cni#608).
pub fn of_detach(random: &mut Random) -> Duration {
    between(random, Duration::from_secs(2), Duration::from_secs(3))
}

/// From the creation of an ENI until every part of EC2 knows it. Calls that come before are answered NotFound ("Eventual
/// consistency in the Amazon EC2 API", which names no figures: one in a hundred, and up to 2 s, are assumed).
pub fn of_propagation(random: &mut Random) -> Duration {
    match random.random_bool(0.01) {
        true => between(random, Duration::from_millis(300), Duration::from_secs(2)),
        false => Duration::ZERO,
    }
}

/// How far a Describe lies behind (assumed: up to 2 s, and as likely any less).
pub fn of_sight(random: &mut Random) -> Duration {
    between(random, Duration::ZERO, Duration::from_secs(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    /// Median and 99th percentile, ms.
    fn quantiles(draw: impl Fn(&mut Random) -> Duration) -> (f64, f64) {
        let mut random = stream(1, Purpose::Calls, 0, 0);
        let mut drawn: Vec<Duration> = (0..40_000).map(|_| draw(&mut random)).collect();
        drawn.sort_unstable();
        let ms = |i: usize| drawn[i].as_secs_f64() * 1e3;
        (ms(20_000), ms(39_600))
    }

    #[test]
    fn calls_take_what_was_measured() {
        for (verb, median) in [
            (Verb::Assign, 350.0),
            (Verb::Unassign, 350.0),
            (Verb::Create, 450.0),
            (Verb::Attach, 720.0),
            (Verb::Protect, 330.0),
            (Verb::Detach, 500.0),
            (Verb::Delete, 250.0),
            (Verb::Describe, 180.0),
        ] {
            let (p50, p99) = quantiles(|random| of_call(verb, random));
            assert!((p50 / median - 1.0).abs() < 0.02, "{verb:?} {p50}");
            let tail = 800.0 / 350.0;
            assert!((p99 / median / tail - 1.0).abs() < 0.05, "{verb:?} {p99}");
        }
    }

    #[test]
    fn links_have_a_tail() {
        let (p50, p99) = quantiles(of_link);
        assert!((p50 / 1700.0 - 1.0).abs() < 0.02, "{p50}");
        // 1.7 s times e^(2.33 * 0.55) is 6.1 s; the one per cent of slow ones lies above.
        assert!((6_000.0..9_500.0).contains(&p99), "{p99}");
    }

    #[test]
    fn detaches_take_two_to_three_seconds() {
        let (p50, p99) = quantiles(of_detach);
        assert!((2_450.0..2_550.0).contains(&p50), "{p50}");
        assert!((2_980.0..3_000.0).contains(&p99), "{p99}");
    }
}
