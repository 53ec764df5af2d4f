//! Which of the known names somebody may have meant.

/// More would be a list, not a hint.
const MOST: usize = 3;
/// Below this (1 is the same) two names have nothing to do with each other.
const ALIKE: f64 = 0.8;

/// The likest of `known`, the likest first. By Jaro and Winkler: the beginning counts most, as it does in the names of
/// instance types.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let name = name.to_lowercase();
    let mut alike: Vec<(f64, &str)> = known
        .map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let names = alike.into_iter().map(|(_, candidate)| candidate.to_owned());
    names.take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_are_seen_through() {
        let known = ["m6a.32xlarge", "m6a.xlarge", "t3.medium", "c5.large"];
        let likest = |name| nearest(name, known.into_iter()).into_iter().next();
        assert_eq!(likest("m6a.32xlarg").as_deref(), Some("m6a.32xlarge"));
        assert_eq!(likest("m6a32xlarge").as_deref(), Some("m6a.32xlarge"));
        assert_eq!(likest("T3.Medium").as_deref(), Some("t3.medium"));
        assert_eq!(likest("zebra"), None);
    }
}
