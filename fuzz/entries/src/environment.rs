//! The environment of a call, and its stdin: `NAME=value` a line, an empty line, the configuration.

use std::collections::BTreeMap;

use berth_cni::rehearsal::rehearse;

use crate::answered;
use crate::sample;

/// A call with this environment. What is asked and answered is of the right kind; whatever else is set, VERSION succeeds.
pub fn environment(data: &[u8]) {
    let (variables, stdin) = split(data);
    let variables: BTreeMap<_, _> = variables
        .split(|byte| *byte == b'\n')
        .filter_map(pair)
        .collect();
    let lookup = |name: &str| variables.get(name.as_bytes()).cloned();
    let rehearsal = rehearse(lookup, stdin, sample::reply);
    let verb = lookup("CNI_COMMAND").unwrap_or_default();
    let verb = String::from_utf8_lossy(&verb);
    answered::check(&verb, &rehearsal);
    if verb == "VERSION" {
        assert!(rehearsal.answer.success);
    }
    // An environment is read the same way twice.
    assert_eq!(rehearse(lookup, stdin, sample::reply), rehearsal);
}

fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[]),
    }
}

fn pair(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = line.iter().position(|byte| *byte == b'=')?;
    Some((line[..at].to_vec(), line[at + 1..].to_vec()))
}
