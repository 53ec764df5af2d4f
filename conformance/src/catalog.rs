//! All cases, in the order in which they run, and what of the checklist cannot be a case.

use crate::case::Case;
use crate::cases;

/// An assertion that nobody can test from outside of a plugin.
#[derive(Clone, Copy, Debug)]
pub struct Untestable {
    /// Its number.
    pub assertion: &'static str,
    /// What it says.
    pub rule: &'static str,
    /// Why no case tries it.
    pub reason: &'static str,
}

/// Every case.
#[must_use]
pub fn cases() -> Vec<&'static Case> {
    cases::ALL.iter().flat_map(|group| group.iter()).collect()
}

/// What of the checklist no case tries, with the reason.
pub const UNTESTABLE: &[Untestable] = &[
    Untestable {
        assertion: "D09",
        rule: "the runtimes' result cache is keyed by the network's name, so a renamed network loses its results",
        reason: "the name is the operator's: no plugin chooses it",
    },
    Untestable {
        assertion: "E15",
        rule: "what is said both in args.cni and in CNI_ARGS is taken from args",
        reason: "nothing in a result shows which of two values was taken",
    },
    Untestable {
        assertion: "G08",
        rule: "runtimes must not run GC beside ADD and DEL, and a plugin may spare what is young",
        reason: "a rule for runtimes; how old is young is each plugin's own",
    },
    Untestable {
        assertion: "G10",
        rule: "libcni deletes what is cached and not valid before it asks for GC",
        reason: "what libcni does: a test of the emulator (tests/runtime/upkeep.rs)",
    },
    Untestable {
        assertion: "G11",
        rule: "none of the reference plugins does anything on GC",
        reason: "a finding, no rule",
    },
    Untestable {
        assertion: "K09",
        rule: "disableCheck keeps runtimes from asking",
        reason: "what libcni does: a test of the emulator (tests/runtime/upkeep.rs)",
    },
    Untestable {
        assertion: "P07",
        rule: "work in another namespace is done on a thread of its own",
        reason: "the inside of a process; what could go wrong by it shows in namespaces, which other cases look at",
    },
    Untestable {
        assertion: "P09",
        rule: "a binary is replaced by rename, and libcni waits for one that is being written",
        reason: "a matter of installers and runtimes: a test of the emulator (tests/runtime/chain.rs)",
    },
    Untestable {
        assertion: "S08",
        rule: "a pool that is empty for a moment is no reason to fail STATUS",
        reason: "nobody but the plugin knows how its pool is emptied",
    },
];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    /// How many assertions the checklist has of each letter.
    const CHECKLIST: [(char, u32); 14] = [
        ('E', 18),
        ('C', 11),
        ('V', 7),
        ('A', 14),
        ('R', 8),
        ('D', 14),
        ('K', 10),
        ('S', 8),
        ('G', 11),
        ('N', 4),
        ('X', 5),
        ('P', 9),
        ('L', 4),
        ('Y', 5),
    ];

    #[test]
    fn each_assertion_of_the_checklist_has_a_case_or_a_reason() {
        let all = CHECKLIST.iter().flat_map(|(letter, count)| {
            (1..=*count).map(move |number| format!("{letter}{number:02}"))
        });
        let all: Vec<String> = all.collect();
        let tried = |assertion: &str| {
            cases()
                .iter()
                .any(|case| case.assertions.contains(&assertion))
        };
        let excused = |assertion: &str| UNTESTABLE.iter().any(|one| one.assertion == assertion);
        for assertion in &all {
            assert!(
                tried(assertion) != excused(assertion),
                "{assertion}: a case, or a reason why there is none"
            );
        }
        for assertion in cases().iter().flat_map(|case| case.assertions) {
            assert!(
                all.iter().any(|known| known == assertion),
                "{assertion} is not on the checklist"
            );
        }
    }

    #[test]
    fn names_are_unique_and_each_case_says_what_it_is() {
        let mut ids: Vec<String> = cases().iter().map(|case| case.id()).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
        for case in cases() {
            let id = case.id();
            assert!(
                !case.sources.is_empty() && !case.assertions.is_empty(),
                "{id}"
            );
            assert!(
                case.rule.len() > 10 && !case.rule.ends_with('.'),
                "{id}: {}",
                case.rule
            );
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(case.name.chars().all(word), "{id}");
        }
    }
}
