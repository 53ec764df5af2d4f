//! An explanation as a page of text: the reserve and why, who has no address and what happens next, what will be done;
//! then each ENI, prefix and address. Times are told as how far away they are, and by the clock (UTC).

use std::time::Duration;

use crate::explanation::{
    AddressNote, EniNote, Explanation, NextNote, PodNote, PrefixNote, ReserveNote, StepNote,
};
use crate::table::table;

/// The page.
pub(super) fn render(told: &Explanation) -> String {
    let now = told.written_ms;
    let sections = [
        identity(told),
        block(
            "Not as it should be:",
            told.reasons
                .iter()
                .map(|reason| format!("{reason}\n      -> {}", reason.remedy)),
        ),
        block(
            "Pods without an address:",
            told.pods.iter().map(|pod| asking(pod, now)),
        ),
        block(
            "Next, if nothing happens:",
            told.next.iter().map(|step| coming(step, now)),
        ),
        rows(
            ["ENI", "DEV", "HELD", "WHY"],
            told.enis.iter().map(|it| eni(it, now)),
        ),
        rows(
            ["PREFIX", "ENI", "WHY"],
            told.prefixes.iter().map(|it| prefix(it, now)),
        ),
        rows(
            ["ADDRESS", "ENI", "STATE", "WHY"],
            told.addresses.iter().map(|it| address(it, now)),
        ),
    ];
    let told: Vec<String> = sections.into_iter().filter(|s| !s.is_empty()).collect();
    told.join("\n")
}

fn identity(told: &Explanation) -> String {
    let mut page = format!(
        "berthd {} on {} ({}) at {}\n{}",
        told.version,
        told.instance_id,
        told.instance_type,
        clock(told.written_ms),
        reserve(&told.reserve, told.written_ms)
    );
    if let Some(subnet) = &told.subnet {
        let (id, free, size) = (&subnet.id, subnet.free, subnet.size);
        page.push_str(&format!("{id} has {free} of {size} addresses left\n"));
    }
    page
}

fn reserve(reserve: &ReserveNote, now: u64) -> String {
    let ReserveNote {
        low,
        high,
        keep,
        free,
        coming,
        wanted,
        ..
    } = reserve;
    let asked = match (low, high) {
        (0, 0) => "none is asked for before a pod needs it".to_owned(),
        _ => format!("below {low} free, more are asked for, up to {high}"),
    };
    let mut page = format!("reserve: {asked}; above {keep} free, they are given back\n");
    for why in &reserve.why {
        page.push_str(&format!("  {}\n", why.message));
    }
    if let Some(last) = reserve.last_pod_ms {
        let ago = lasting(now.saturating_sub(last));
        page.push_str(&format!("  the last pod came {ago} ago\n"));
    }
    if let Some(at) = reserve.shrinks_ms {
        let when = ahead(at, now);
        page.push_str(&format!("  it becomes smaller {when} unless a pod comes\n"));
    }
    let stand = match (reserve.deficit, reserve.surplus) {
        (0, 0) => "as it should be".to_owned(),
        (0, surplus) => format!("{surplus} too many"),
        (deficit, _) => format!("{deficit} missing"),
    };
    page.push_str(&format!(
        "now: {stand}; {free} free, {coming} on their way, pods without an address: {wanted}\n"
    ));
    page
}

fn asking(pod: &PodNote, now: u64) -> String {
    let since = lasting(pod.since_ms.map_or(0, |since| now.saturating_sub(since)));
    let state = match pod.state.as_str() {
        "waiting" => format!("waits {since}"),
        "gave-up" => "asked, gave up, and will come again".to_owned(),
        _ => "is bound to this node, and will ask".to_owned(),
    };
    let what = match (&pod.address, &pod.reason) {
        (Some(address), _) => format!(": {address} is kept for it"),
        (None, Some(reason)) => format!(": {reason}"),
        (None, None) => String::new(),
    };
    let next = pod.next.as_ref().map(|next| follows(next, now));
    format!("{} {state}{what}{}", pod.pod, next.unwrap_or_default())
}

fn follows(next: &NextNote, now: u64) -> String {
    let message = &next.message;
    match next.what.as_str() {
        "answer" => {
            let since = lasting(now.saturating_sub(next.at_ms));
            format!("\n      next: the answer to {message}, under way for {since}")
        }
        _ => format!("\n      next, {}: {message}", ahead(next.at_ms, now)),
    }
}

fn coming(step: &StepNote, now: u64) -> String {
    format!("{}: {}", ahead(step.at_ms, now), step.action)
}

fn eni(it: &EniNote, now: u64) -> [String; 4] {
    let goes = goes(it.goes_ms, now, "detached");
    [
        it.id.clone(),
        it.device_index.to_string(),
        it.held.to_string(),
        format!("{}{goes}", it.why.message),
    ]
}

fn prefix(it: &PrefixNote, now: u64) -> [String; 3] {
    let goes = goes(it.goes_ms, now, "given back");
    [
        it.prefix.to_string(),
        it.eni.clone(),
        format!("{}{goes}", it.why.message),
    ]
}

fn address(it: &AddressNote, now: u64) -> [String; 4] {
    let since = it.since_ms.map(|since| lasting(now.saturating_sub(since)));
    let state = match since {
        Some(since) => format!("{} {since}", it.state),
        None => it.state.clone(),
    };
    let too_many = it.too_many_since_ms.map(|since| {
        let lasts = lasting(now.saturating_sub(since));
        format!("; too many for {lasts}")
    });
    let rests = it.rests_until_ms.map(|until| {
        let left = lasting(until.saturating_sub(now));
        format!("; free in {left}")
    });
    let goes = goes(it.goes_ms, now, "given back");
    [
        it.address.to_string(),
        it.eni.clone(),
        state,
        format!(
            "{}{}{}{goes}",
            it.why.message,
            too_many.unwrap_or_default(),
            rests.unwrap_or_default()
        ),
    ]
}

fn goes(at: Option<u64>, now: u64, how: &str) -> String {
    at.map(|at| format!("; {how} {} unless a pod comes", ahead(at, now)))
        .unwrap_or_default()
}

/// `in 50s (12:31:05)`.
fn ahead(at: u64, now: u64) -> String {
    if at <= now {
        return "now".to_owned();
    }
    format!("in {} ({})", lasting(at - now), clock(at))
}

/// A wait of some seconds to a tenth, a longer one in whole seconds.
fn lasting(ms: u64) -> String {
    if ms < 10_000 {
        return format!("{}.{}s", ms / 1000, ms % 1000 / 100);
    }
    humantime::format_duration(Duration::from_secs(ms / 1000)).to_string()
}

/// The time of day, UTC.
fn clock(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000;
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02} UTC", seconds % 60)
}

fn block(title: &str, entries: impl Iterator<Item = String>) -> String {
    let body: String = entries.map(|entry| format!("  {entry}\n")).collect();
    if body.is_empty() {
        return body;
    }
    format!("{title}\n{body}")
}

fn rows<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<Vec<String>> = rows.map(Vec::from).collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = header.map(str::to_owned).to_vec();
    table(&[vec![header], rows].concat())
}
