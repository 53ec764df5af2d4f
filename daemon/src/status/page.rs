//! The report as a page of text, the urgent first: whether pods are served, what is amiss and what to do, why the node
//! holds what it holds; then ENIs, addresses, who waits, and what EC2 was asked. Sections that have nothing to say are
//! left out.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::report::{AddressCounts, EniReport, Report, ReserveReport};
use crate::table::table;

/// The page.
pub(super) fn render(report: &Report) -> String {
    let sections = [
        identity(report),
        amiss(report),
        waiting(report),
        enis(report),
        addresses(report),
        lines(
            "Calls to EC2 in flight or of unknown outcome",
            &report.intents,
        ),
        ec2(report),
        repairs(report),
        settings(report),
    ];
    let mut page = String::new();
    for section in sections.iter().filter(|section| !section.is_empty()) {
        if !page.is_empty() {
            page.push('\n');
        }
        page.push_str(section);
    }
    page
}

/// Who it is, whether it serves, and what it holds for what.
fn identity(report: &Report) -> String {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let (id, kind) = (known(&report.instance_id), known(&report.instance_type));
    let serving = match &report.not_serving {
        None => "serving".to_owned(),
        Some(why) => format!("NOT SERVING: {why}"),
    };
    let up = ago(report, report.started_at);
    format!(
        "berthd {} on {id} ({kind}), up {up}: {serving}\n{}{}conflist: {}\n",
        report.version,
        limits(report),
        holding(report),
        report.conflist
    )
}

fn limits(report: &Report) -> String {
    let subnets = report.subnet_free_addresses.iter();
    let subnets: String = subnets
        .map(|(subnet, free)| format!("; {subnet} has {free} addresses left"))
        .collect();
    match (report.max_enis, report.addresses_per_eni) {
        (0, _) => "limits not known yet\n".to_owned(),
        (max, each) => format!(
            "{} of {max} ENIs, {each} addresses an ENI{subnets}\n",
            report.enis.len()
        ),
    }
}

/// Why it holds what it holds.
fn holding(report: &Report) -> String {
    let counts = &report.addresses;
    let parts = [
        (counts.used, "with pods"),
        (counts.cooling, "resting after their last pod"),
        (counts.free, "free for the next pods"),
        (counts.quarantined, "not trusted yet"),
        (counts.unassigning, "on their way back to EC2"),
    ];
    let parts: Vec<String> = (parts.iter())
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let prefixes: usize = report.enis.iter().map(|eni| eni.prefixes.len()).sum();
    let held = match prefixes {
        0 => format!("{} addresses", counts.held),
        _ => format!("{} addresses ({prefixes} /28s)", counts.held),
    };
    let expected = match report.expected {
        Some(1) => "; 1 more pod is bound to the node and will ask".to_owned(),
        None | Some(0) => String::new(),
        Some(pods) => format!("; {pods} more pods are bound to the node and will ask"),
    };
    let held = match parts.len() {
        0 => format!("holds {held}{expected}\n"),
        _ => format!("holds {held}: {}{expected}\n", parts.join(", ")),
    };
    held + &reserve(report)
}

fn reserve(report: &Report) -> String {
    let Some(ReserveReport {
        low,
        high,
        keep,
        surplus,
    }) = report.reserve
    else {
        return String::new();
    };
    let asked = match high {
        0 => "none is asked for".to_owned(),
        _ => format!("below {low} free more are asked for, up to {high}"),
    };
    let surplus = match surplus {
        0 => String::new(),
        _ => format!(", {surplus} of them now"),
    };
    format!("reserve: {asked}; above {keep} they go{surplus} (why and when: berthd explain)\n")
}

/// What a person should know, each with what to do.
fn amiss(report: &Report) -> String {
    let entry = |what: String, remedy: &str| format!("  {what}\n      -> {remedy}\n");
    let reasons = report.reasons.iter();
    let mut page: String = reasons
        .map(|reason| entry(reason.to_string(), &reason.remedy))
        .collect();
    if let Some(why) = &report.checkpoint_failure {
        let what = format!("the checkpoint is not written, so ADD and DEL fail: {why}");
        page.push_str(&entry(what, "make room on its file system, or repair it"));
    }
    if report.tombstones_waiting > 0 {
        let what = format!(
            "{} DELs that met no daemon failed again",
            report.tombstones_waiting
        );
        page.push_str(&entry(
            what,
            "nothing to do: they are tried each 30 s; the log says why",
        ));
    }
    for dispute in &report.disputes {
        page.push_str(&entry(
            format!("changed by something else again and again: {dispute}"),
            "find what else configures the network of this node (docs/operations.md, BerthRepairs)",
        ));
    }
    for degraded in &report.degraded {
        let what = format!(
            "degraded: {} (pods are served all the same): {}",
            degraded.feature, degraded.message
        );
        page.push_str(&entry(what, &degraded.remedy));
    }
    if page.is_empty() && !report.serving {
        return "It does not serve ADDs yet; if that stays: docs/operations.md, DaemonStarting.\n"
            .to_owned();
    }
    if page.is_empty() {
        return "Nothing is amiss.\n".to_owned();
    }
    format!("Not as it should be:\n{page}")
}

/// How long ago something was, when the report was written.
fn ago(report: &Report, unix_seconds: u64) -> impl std::fmt::Display {
    humantime::format_duration(Duration::from_secs(
        report.written_at.saturating_sub(unix_seconds),
    ))
}

fn enis(report: &Report) -> String {
    let mut rows = vec![
        [
            "ENI",
            "DEV",
            "OWNER",
            "STATE",
            "PRIMARY",
            "HELD",
            "USED",
            "COOLING",
            "FREE",
            "QUARANTINED",
            "UNASSIGNING",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(report.enis.iter().map(|eni| {
        let head = [
            eni.id.clone(),
            eni.device_index.to_string(),
            eni.ownership.clone(),
            eni.state.clone(),
            eni.primary_address
                .map_or_else(|| "-".to_owned(), |address| address.to_string()),
        ];
        [&head[..], &counts(&eni.addresses)].concat()
    }));
    let total = ["total", "", "", "", ""].map(str::to_owned);
    rows.push([&total[..], &counts(&report.addresses)].concat());
    table(&rows)
}

fn counts(counts: &AddressCounts) -> [String; 6] {
    [
        counts.held,
        counts.used,
        counts.cooling,
        counts.free,
        counts.quarantined,
        counts.unassigning,
    ]
    .map(|count| count.to_string())
}

fn addresses(report: &Report) -> String {
    let pods: HashMap<Ipv4Addr, String> = report
        .attachments
        .iter()
        .map(|attachment| {
            let sandbox = format!("{}/{}", attachment.container_id, attachment.ifname);
            let pod = attachment.pod.as_ref();
            let who = pod.map_or_else(|| sandbox.clone(), |pod| format!("{pod} ({sandbox})"));
            (attachment.address, who)
        })
        .collect();
    let header = ["ADDRESS", "STATE", "ENI", "POD"]
        .map(str::to_owned)
        .to_vec();
    let row = |eni: &EniReport, address: &Ipv4Addr, state: &String| {
        let pod = pods.get(address).cloned().unwrap_or_default();
        vec![address.to_string(), state.clone(), eni.id.clone(), pod]
    };
    let held = report.enis.iter().flat_map(|eni| {
        eni.held
            .iter()
            .map(move |(address, state)| row(eni, address, state))
    });
    let rows: Vec<_> = std::iter::once(header).chain(held).collect();
    if rows.len() == 1 {
        String::new()
    } else {
        table(&rows)
    }
}

fn waiting(report: &Report) -> String {
    let lines_of = report.waiting.iter().map(|waiting| {
        let (attachment, waited, reason) =
            (&waiting.attachment, waiting.waited_ms, &waiting.reason);
        format!("{attachment} for {waited} ms: {reason}")
    });
    lines("Waiting for an address", &lines_of.collect::<Vec<_>>())
}

fn ec2(report: &Report) -> String {
    let calls = report.ec2_calls.iter();
    let calls: Vec<String> = calls
        .map(|(action, calls)| format!("{action}: {calls}"))
        .collect();
    let described = match report.described_at {
        Some(at) => format!("EC2 described the ENIs {} ago.\n", ago(report, at)),
        None => "EC2 has not described the ENIs yet.\n".to_owned(),
    };
    described + &lines("Calls to EC2 since the start", &calls)
}

fn repairs(report: &Report) -> String {
    let repairs = report.repairs.iter();
    let repairs = repairs.map(|(object, times)| format!("{object}: {times}"));
    lines("Mended since the start", &repairs.collect::<Vec<_>>())
}

/// Only what somebody set: the defaults are in the JSON.
fn settings(report: &Report) -> String {
    let set = report
        .settings
        .iter()
        .filter(|setting| setting.source != "default");
    let set = set.map(|setting| {
        let (name, value, source) = (&setting.name, &setting.value, &setting.source);
        format!("{name}={value} ({source})")
    });
    lines(
        "Settings that are not the default",
        &set.collect::<Vec<_>>(),
    )
}

fn lines(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let body: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{title}:\n{body}")
}
