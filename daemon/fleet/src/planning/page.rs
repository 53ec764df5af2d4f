//! A plan as a page of text: what it means first, then the figures. It fits 100 columns, but for long names.

use super::answer::{Answer, Moment, PolicyAnswer};
use super::columns::{Columns, wrap};
use super::words::{count, duration, grouped};

/// A terminal that is not too narrow.
const WIDTH: usize = 100;

/// The page.
pub fn page(answer: &Answer) -> String {
    let sections = [
        cluster(answer),
        verdicts(answer),
        addresses(answer),
        subnets(answer),
        calls(answer),
        types(answer),
    ];
    sections.join("\n")
}

/// What was planned.
fn cluster(answer: &Answer) -> String {
    let cluster = &answer.cluster;
    let every = duration(cluster.join_every_seconds);
    let pods = match &cluster.trace {
        Some(trace) => format!(
            "{} of {} over {} days",
            count(trace.pods, "pod"),
            trace.file,
            trace.days
        ),
        None => format!(
            "{}, and {} on the host network",
            count(cluster.pods, "pod"),
            grouped(cluster.host_network_pods)
        ),
    };
    let then = match cluster.trace {
        Some(_) => "then the trace begins".to_owned(),
        None => format!("then {} pass", duration(cluster.settle_seconds)),
    };
    let nodes = count(cluster.nodes.into(), "node");
    let told = format!("{nodes} with {pods}; a node joins every {every}, {then}.");
    let mut columns = Columns::new(["subnet", "zone", "addresses", "nodes", "used by others"]);
    for subnet in &answer.subnets {
        columns.row([
            subnet.name.clone(),
            subnet.zone.clone().unwrap_or_else(|| "-".to_owned()),
            grouped(subnet.size.into()),
            grouped(subnet.nodes.into()),
            grouped(subnet.used_by_others.into()),
        ]);
    }
    format!("{}\n\n{}", wrap(&told, 0, WIDTH), columns.render())
}

/// What it means.
fn verdicts(answer: &Answer) -> String {
    let names = answer.policies.iter().map(|policy| policy.policy.len());
    let indent = names.max().unwrap_or(0) + 2;
    let line = |policy: &PolicyAnswer| {
        let says = wrap(&policy.says, indent, WIDTH);
        format!("{:<indent$}{says}\n", policy.policy)
    };
    answer.policies.iter().map(line).collect()
}

/// What is held, and who waits.
fn addresses(answer: &Answer) -> String {
    let heads = [
        "addresses held",
        "at the end",
        "a node",
        "peak",
        "of pods",
        "wait p50",
        "p99",
        "max",
        "failed ADDs",
    ];
    let mut columns = Columns::new(heads);
    for policy in &answer.policies {
        let (held, wait) = (policy.held, policy.wait_ms);
        columns.row([
            policy.policy.to_owned(),
            rounded(held.steady),
            format!("{:.1}", held.steady_per_node),
            grouped(held.peak.into()),
            rounded(held.used),
            duration(wait.p50 / 1000.0),
            duration(wait.p99 / 1000.0),
            duration(wait.max / 1000.0),
            grouped(policy.failed_adds),
        ]);
    }
    columns.render()
}

/// When which one runs dry.
fn subnets(answer: &Answer) -> String {
    let mut columns = Columns::new([
        "subnets",
        "subnet",
        "free at least",
        "runs dry",
        "no whole block",
    ]);
    for policy in &answer.policies {
        for subnet in &policy.subnets {
            let moment = |moment: Option<Moment>| {
                moment.map_or_else(
                    || "-".to_owned(),
                    |m| {
                        format!(
                            "node {}, {}",
                            grouped(m.nodes.into()),
                            duration(m.after_seconds)
                        )
                    },
                )
            };
            columns.row([
                policy.policy.to_owned(),
                subnet.name.clone(),
                grouped(subnet.fewest_free.into()),
                moment(subnet.runs_dry),
                moment(subnet.no_block),
            ]);
        }
    }
    columns.render()
}

/// What EC2 is asked, against what it lets through.
fn calls(answer: &Answer) -> String {
    let heads = answer.buckets.iter().map(|bucket| short(bucket.action));
    let heads = ["calls to EC2"].into_iter().chain(heads);
    let mut columns = Columns::new(heads.chain(["throttled", "settled/h"]));
    for policy in &answer.policies {
        let accepted = policy.calls.iter().map(|calls| grouped(calls.accepted));
        let throttled = policy.calls.iter().map(|calls| calls.throttled).sum();
        let cells = [policy.policy.to_owned()].into_iter().chain(accepted);
        let then = rounded(policy.settled_calls_per_hour);
        columns.row(cells.chain([grouped(throttled), then]));
    }
    let bursts = answer.buckets.iter().map(|bucket| bucket.burst.to_string());
    columns.row(["bucket".to_owned()].into_iter().chain(bursts));
    let rates = (answer.buckets.iter()).map(|bucket| format!("+{}/s", bucket.per_second));
    columns.row(["refill".to_owned()].into_iter().chain(rates));
    columns.render()
}

/// `Assign` of `AssignPrivateIpAddresses`: its first word.
fn short(action: &'static str) -> &'static str {
    let mut capitals = action
        .char_indices()
        .filter(|(_, c)| c.is_ascii_uppercase());
    let second = capitals.nth(1);
    second.map_or(action, |(index, _)| &action[..index])
}

/// How many pods kubelet should take.
fn types(answer: &Answer) -> String {
    let heads = [
        "max-pods",
        "ENIs",
        "addresses each",
        "singles",
        "prefixes",
        "EKS: singles",
        "EKS: prefixes",
    ];
    let mut columns = Columns::new(heads);
    for kind in &answer.types {
        let pods = kind.max_pods;
        let or_none =
            |pods: Option<u32>| pods.map_or_else(|| "-".to_owned(), |n| grouped(n.into()));
        columns.row([
            kind.instance_type.clone(),
            kind.enis.to_string(),
            kind.addresses_per_eni.to_string(),
            grouped(pods.singles.into()),
            or_none(pods.prefixes),
            grouped(pods.recommended_singles.into()),
            or_none(pods.recommended_prefixes),
        ]);
    }
    columns.render()
}

fn rounded(value: f64) -> String {
    grouped(value.round() as u64)
}
