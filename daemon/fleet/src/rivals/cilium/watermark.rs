//! How many addresses Cilium's operator wants a node to have. Formulas only ("AWS ENI", Determination of ENI IP deficits or
//! excess; where the page and pkg/ipam/node.go differ, the code).

/// A node's parameters, `spec.ipam` of its CiliumNode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// `pre-allocate`: free addresses to keep.
    pub pre_allocate: u32,
    /// `min-allocate`: addresses to have in all.
    pub min_allocate: u32,
    /// `max-above-watermark`: how many more to ask for at a time, and to keep.
    pub max_above: u32,
}

/// What the page says of unset parameters.
impl Default for Watermark {
    fn default() -> Self {
        Self {
            pre_allocate: 8,
            min_allocate: 0,
            max_above: 0,
        }
    }
}

impl Watermark {
    /// How many addresses a node lacks that has `available` ones, `used` of them by pods.
    pub fn needed(self, available: u32, used: u32) -> u32 {
        let free = available.saturating_sub(used);
        let floor = self.min_allocate.saturating_sub(available);
        self.pre_allocate.saturating_sub(free).max(floor)
    }

    /// How many to ask for: what is needed, or as many as there are pending pods if those are more (surge allocation).
    pub fn asks(self, needed: u32, pending: u32) -> u32 {
        needed + self.max_above + pending.saturating_sub(needed)
    }

    /// How many are too many.
    pub fn excess(self, available: u32, used: u32) -> u32 {
        let start = self.min_allocate + self.max_above;
        if used <= start && available <= start {
            return 0;
        }
        available.saturating_sub(used + self.pre_allocate + self.max_above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_are_kept_free() {
        let default = Watermark::default();
        let needed = [(0, 0), (8, 0), (8, 1), (8, 8), (20, 3)];
        assert_eq!(needed.map(|(a, u)| default.needed(a, u)), [8, 0, 1, 8, 0]);
        let excess = [(0, 0), (8, 0), (9, 0), (20, 3), (20, 12)];
        assert_eq!(excess.map(|(a, u)| default.excess(a, u)), [0, 0, 1, 9, 0]);
    }

    #[test]
    fn pending_pods_are_asked_for_at_once() {
        let default = Watermark::default();
        assert_eq!(default.asks(8, 3), 8);
        assert_eq!(default.asks(8, 22), 22);
    }

    #[test]
    fn what_was_allocated_at_the_start_stays() {
        let start = Watermark {
            min_allocate: 20,
            max_above: 4,
            ..Watermark::default()
        };
        assert_eq!(start.needed(0, 0), 20);
        assert_eq!(start.asks(20, 0), 24);
        assert_eq!(start.excess(24, 3), 0);
        assert_eq!(start.excess(40, 3), 25);
    }
}
