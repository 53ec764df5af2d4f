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
pub const UNTESTABLE: &[Untestable] = &[];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

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
