//! Sentences for what `ipam` explains. No times in them: those are fields of their own.

use std::time::Duration;

use ipam::explain::{EniWhy, Why as Held};
use ipam::policy::{Patience, Policy, Pressure};
use ipam::{Action, AddressState, Standing, Tally, Timestamp};

use super::Why;

/// A name and a sentence.
fn why(name: &str, message: impl Into<String>) -> Why {
    Why {
        name: name.to_owned(),
        message: message.into(),
    }
}

/// What sets the levels of the reserve, and when what is too much goes.
pub(super) fn reserve(standing: &Standing) -> Vec<Why> {
    let need = &standing.need;
    let mut all = vec![match standing.policy {
        Policy::WarmAddresses { .. } => why(
            "warm-addresses",
            "WARM_IP_TARGET and MINIMUM_IP_TARGET set it",
        ),
        Policy::WarmPrefixes(_) => why("warm-prefixes", "WARM_PREFIX_TARGET sets it"),
        Policy::WarmEnis(_) => why("warm-enis", "WARM_ENI_TARGET sets it, in whole ENIs"),
        Policy::Own if need.fresh => why(
            "fresh",
            "no pod has come since the start: it shows that the node can serve",
        ),
        Policy::Own if need.recent => why("recent", "a pod came within the last 10 minutes"),
        Policy::Own => why("idle", "no pod came within the last 10 minutes"),
    }];
    if standing.policy == Policy::Own {
        all.extend(pressed(need.pressure));
        if need.congested {
            all.push(why(
                "congested",
                "EC2 throttles this node's calls: none is made for the reserve",
            ));
        }
    }
    all.push(why("patience", patience(&standing.patience)));
    all
}

fn pressed(pressure: Pressure) -> Option<Why> {
    let (share, follows) = match () {
        () if pressure.is_hard() => ("5 %", "no reserve is kept once a pod has come"),
        () if pressure.is_strong() => ("10 %", "a smaller reserve is kept"),
        () if pressure.is_felt() => ("15 %", "what is too much goes sooner"),
        () => return None,
    };
    let message = format!("less than {share} of the subnet is free: {follows}");
    Some(why("pressure", message))
}

fn patience(patience: &Patience) -> String {
    let lasting = |time: Duration| match time.as_secs() {
        0 => "at once".to_owned(),
        seconds => format!(
            "after {}",
            humantime::format_duration(Duration::from_secs(seconds))
        ),
    };
    match patience.batch {
        1 => format!("what is too much goes {}", lasting(patience.age)),
        batch => format!(
            "what is too much goes {} if it is {batch} addresses, and {} in any case",
            lasting(patience.age),
            lasting(patience.alone)
        ),
    }
}

/// Why an address is held; `pod` is the one that has it, had it or gets it.
pub(super) fn address(held: &Held, pod: Option<&str>) -> Why {
    let who = pod.unwrap_or("a pod");
    match held {
        Held::Pod { .. } => why("pod", format!("{who} has it")),
        Held::Cooling { .. } => why("cooling", format!("rests after {who}")),
        Held::Quarantined => why(
            "quarantined",
            "EC2 shows it and berth did not ask for it: rests until EC2 shows it once more",
        ),
        Held::NotShown { times } => why(
            "not-shown",
            format!("EC2 did not show it {}: nobody gets it", counted(*times)),
        ),
        Held::Leaving => why("leaving", "is on its way back to EC2"),
        Held::Arriving => why("arriving", "comes with its ENI"),
        Held::Unknown => why("unknown", "was found with a pod: EC2 tells whose it is"),
        Held::ForPod { .. } => why("for-pod", format!("is kept for {who}")),
        Held::Surplus { rank, of, .. } => why(
            "surplus",
            format!("nobody needs it: {} of {of} that go", ordinal(*rank)),
        ),
        Held::Prefix { pods } => why(
            "prefix",
            format!("its prefix goes as a whole, and {} has it", them(*pods)),
        ),
        Held::WholeEni => why("whole-eni", "WARM_ENI_TARGET holds whole ENIs"),
        Held::Reserve => why("reserve", "is kept for the next pod"),
    }
}

/// Why an ENI is there.
pub(super) fn eni(there: &EniWhy, now: Timestamp) -> Why {
    match there {
        EniWhy::Primary => why("primary", "the primary ENI never leaves"),
        EniWhy::Foreign => why("foreign", "is somebody else's: berth does not touch it"),
        EniWhy::Arriving { trouble: None } => why("arriving", "is being attached"),
        EniWhy::Arriving {
            trouble: Some(reason),
        } => why("arriving", reason.at(now).to_string()),
        EniWhy::Leaving => why("leaving", "is being detached and deleted"),
        EniWhy::NotShown { times } => why(
            "not-shown",
            format!(
                "EC2 did not show it {}: no new pod gets onto it",
                counted(*times)
            ),
        ),
        EniWhy::Pods { pods } => why("pods", format!("{} on it", are(*pods))),
        EniWhy::Idle => why("idle", "has no pod, and nobody needs its addresses"),
        EniWhy::Reserve => why(
            "reserve",
            "has no pod; its addresses are kept for the next ones",
        ),
    }
}

/// Why a prefix is there.
pub(super) fn prefix(tally: &Tally, goes: bool) -> Why {
    let free = tally.free;
    match (tally.used(), goes) {
        (0, true) => why("idle", format!("nobody needs its {free} free addresses")),
        (0, false) => why("reserve", format!("{free} free, kept for the next pods")),
        (pods, _) => why("pods", format!("pinned by {}, {free} free", them(pods))),
    }
}

/// The state of an address, as the metrics name it.
pub(super) fn state(state: &AddressState) -> &'static str {
    match state {
        AddressState::Free { .. } => "free",
        AddressState::Assigned { .. } => "used",
        AddressState::Cooling { .. } => "cooling",
        AddressState::Quarantined { .. } => "quarantined",
        AddressState::Unassigning | AddressState::Gone { .. } => "unassigning",
    }
}

/// An action with EC2's name of the call.
pub(super) fn action(action: &Action) -> String {
    let call = action.verb().ec2_action();
    match action {
        Action::Connect { eni } => format!("set up the link of {eni}"),
        Action::Create {
            device_index,
            mode,
            count,
            ..
        } => format!("{call}: device {device_index} with {count} {mode}"),
        Action::Assign { eni, mode, count } => format!("{call}: {count} {mode} on {eni}"),
        Action::Unassign {
            eni,
            addresses,
            prefixes,
        } => {
            let singles = addresses.iter().map(ToString::to_string);
            let blocks = prefixes.iter().map(ToString::to_string);
            let all: Vec<String> = singles.chain(blocks).collect();
            format!("{call}: {} from {eni}", all.join(", "))
        }
        Action::Describe => call.to_owned(),
        Action::Attach { eni, .. }
        | Action::Protect { eni }
        | Action::Detach { eni }
        | Action::Delete { eni } => format!("{call}: {eni}"),
    }
}

fn counted(times: u32) -> String {
    match times {
        1 => "the last time".to_owned(),
        _ => format!("the last {times} times"),
    }
}

fn are(pods: u32) -> String {
    match pods {
        1 => "1 pod is".to_owned(),
        _ => format!("{pods} pods are"),
    }
}

fn them(pods: u32) -> String {
    match pods {
        1 => "1 pod".to_owned(),
        _ => format!("{pods} pods"),
    }
}

fn ordinal(rank: u32) -> String {
    let ending = match (rank % 100, rank % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{rank}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals() {
        let told = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal);
        let right = [
            "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th",
        ];
        assert_eq!(told, right);
    }
}
