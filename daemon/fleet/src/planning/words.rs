//! Numbers and times as people read them.

use std::time::Duration;

/// `4091` as `4,091`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `3 nodes`, `1 node`.
pub(super) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

/// `41st`.
pub(super) fn ordinal(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{}{ending}", grouped(number))
}

/// `3m 20s`, to the second; below one to the millisecond.
pub(super) fn duration(seconds: f64) -> String {
    let time = Duration::from_secs_f64(seconds.max(0.0));
    let time = match time.as_secs() {
        0 => Duration::from_millis(time.as_millis().try_into().unwrap_or(0)),
        _ => Duration::from_secs(time.as_secs_f64().round() as u64),
    };
    humantime::format_duration(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let shown = [0, 999, 1000, 65_531, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "65,531", "1,234,567"]);
        let shown = [1, 2, 3, 4, 11, 12, 13, 21, 42, 111, 1_123].map(ordinal);
        assert_eq!(
            shown,
            [
                "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "42nd", "111th",
                "1,123rd"
            ]
        );
        assert_eq!([count(1, "node"), count(0, "pod")], ["1 node", "0 pods"]);
        let shown = [0.0, 0.0421, 59.6, 3_605.2].map(duration);
        assert_eq!(shown, ["0s", "42ms", "1m", "1h 5s"]);
    }
}
