//! Repeatable pseudo-random numbers for addresses, ids and jitter. Not for anything that must be unguessable.

/// SplitMix64 (Steele, Lea, Flood 2014): eight lines, good enough to scatter, the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// Starts a sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0. The bias of the modulo does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits().checked_rem(bound).unwrap_or(0)
    }

    /// An id as EC2 spells them today: the kind, a dash and 17 hexadecimal digits.
    pub fn id(&mut self, kind: &str) -> String {
        format!("{kind}-0{:016x}", self.bits())
    }

    /// A MAC address, locally administered and unicast as those of ENIs are.
    pub fn mac(&mut self) -> String {
        let b = self.bits().to_be_bytes();
        format!(
            "0a:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
            b[0], b[1], b[2], b[3], b[4]
        )
    }
}
