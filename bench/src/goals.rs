//! The goals: ratios against something in the same run, and two plain figures.

/// One goal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// Its name in `target/bench.json`.
    pub name: &'static str,
    /// What is divided by what.
    pub what: &'static str,
    /// What it must be; at most that, or at least where `beyond` is more.
    pub reach: f64,
    /// What would be better still.
    pub beyond: f64,
}

const fn goal(name: &'static str, what: &'static str, reach: f64, beyond: f64) -> Goal {
    Goal {
        name,
        what,
        reach,
        beyond,
    }
}

/// All of them, in the order of the table.
pub const GOALS: &[Goal] = &[
    goal(
        "add_over_floor",
        "ADD from stock, spawn to exit / floor",
        1.25,
        1.10,
    ),
    goal(
        "add_500_over_0",
        "ADD beside 500 pods / beside none",
        1.15,
        1.05,
    ),
    goal("del_over_floor", "DEL / floor", 1.5, 1.2),
    goal("ptp_over_add", "ptp + host-local / ADD", 3.0, 5.0),
    goal(
        "ptp_masq_over_add",
        "ptp + host-local with ipMasq / ADD",
        8.0,
        15.0,
    ),
    goal(
        "burst30_over_floor",
        "the last of 30 at once / floor",
        1.4,
        1.15,
    ),
    goal(
        "cri_plugin_over_add",
        "berth-cni under containerd / ADD outside",
        2.0,
        1.3,
    ),
    goal(
        "attach_delay_over_attach",
        "what an attach delays 20 pods / one Create and Attach",
        1.2,
        1.0,
    ),
    goal(
        "pps_500_over_0",
        "packets/s beside 500 pods / beside none",
        0.95,
        0.99,
    ),
    goal(
        "pps_0_over_plain",
        "packets/s through berth's layout / plain forwarding",
        0.90,
        0.95,
    ),
    goal(
        "miss_over_assign",
        "ADD on an empty pool / the mock's Assign",
        1.15,
        1.05,
    ),
    goal("rss_mib", "berthd with 250 pods, MiB", 25.0, 15.0),
    goal(
        "start_s",
        "start to first ADD served with 250 pods, s",
        0.5,
        0.2,
    ),
];

impl Goal {
    /// Whether `ratio` is on the good side of `bound`, one of this goal's two.
    #[must_use]
    pub fn holds(&self, ratio: f64, bound: f64) -> bool {
        if self.beyond > self.reach {
            ratio >= bound
        } else {
            ratio <= bound
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_goals_are_to_be_exceeded_and_others_undercut() {
        let find = |name| GOALS.iter().find(|goal| goal.name == name);
        let holds = |name, ratio| find(name).is_some_and(|goal| goal.holds(ratio, goal.reach));
        assert!(holds("add_over_floor", 1.2) && !holds("add_over_floor", 1.3));
        assert!(holds("ptp_over_add", 3.1) && !holds("ptp_over_add", 2.9));
        assert!(holds("pps_500_over_0", 0.96) && !holds("pps_500_over_0", 0.94));
    }
}
