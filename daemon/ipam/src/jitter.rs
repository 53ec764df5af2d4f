//! Spreads the retries of many nodes that met the same refusal at the same moment. No randomness: the same node at the same
//! time waits the same.

use std::time::Duration;

/// Of a wait, half at least and all at most, by `salt`.
pub fn spread(wait: Duration, salt: &[&[u8]]) -> Duration {
    let half = wait / 2;
    let share = hash(salt) >> 40;
    let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(share)) >> 24;
    half + Duration::from_nanos(u64::try_from(part).unwrap_or(nanos))
}

/// FNV-1a, 64 bits, and the finalizer of MurmurHash3, without which its upper bits hardly depend on the last bytes.
fn hash(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().copied().flatten();
    let mut h = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| {
        (h ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_fail_together_come_back_apart() {
        let wait = Duration::from_secs(8);
        let mut tenths = [0_u32; 10];
        for node in 0..1_000 {
            let waits = spread(wait, &[format!("eni-{node:017x}").as_bytes(), &[1]]);
            assert!((wait / 2..=wait).contains(&waits));
            let tenth = (waits - wait / 2).as_millis() / 400;
            tenths[usize::try_from(tenth).unwrap_or(0).min(9)] += 1;
        }
        assert!(tenths.iter().all(|n| (60..140).contains(n)), "{tenths:?}");
    }

    #[test]
    fn the_same_node_waits_the_same_at_the_same_time() {
        let wait = |salt: &str| spread(Duration::from_secs(1), &[salt.as_bytes()]);
        assert_eq!(wait("eni-1"), wait("eni-1"));
        assert_ne!(wait("eni-1"), wait("eni-2"));
        assert_eq!(spread(Duration::ZERO, &[]), Duration::ZERO);
    }
}
