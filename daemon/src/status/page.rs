//! The report as a page of text: identity, ENIs, addresses, who waits, why, and what EC2 was asked. Sections that have
//! nothing to say are left out.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::report::{AddressCounts, EniReport, Report};

/// The page.
pub(super) fn render(report: &Report) -> String {
    let sections = [
        identity(report),
        enis(report),
        addresses(report),
        waiting(report),
        lines("Why the pool is as it is", &report.reasons),
        lines(
            "Calls to EC2 in flight or of unknown outcome",
            &report.intents,
        ),
        ec2_calls(report),
        repairs(report),
        lines(
            "Changed by something else again and again",
            &report.disputes,
        ),
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

fn identity(report: &Report) -> String {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let limits = match (report.max_enis, report.addresses_per_eni) {
        (0, _) => "limits not known yet".to_owned(),
        (max, each) => format!(
            "{} of {max} ENIs, {each} addresses an ENI",
            report.enis.len()
        ),
    };
    let (id, kind) = (known(&report.instance_id), known(&report.instance_type));
    let version = &report.version;
    format!("berthd {version} on {id} ({kind}): {limits}\n")
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
            eni.primary_address.to_string(),
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

fn ec2_calls(report: &Report) -> String {
    let calls = report.ec2_calls.iter();
    let calls = calls.map(|(action, calls)| format!("{action}: {calls}"));
    lines("Calls to EC2 since the start", &calls.collect::<Vec<_>>())
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

/// Rows of equal length, the columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}
