//! `berthd status`: asks the daemon for its state and shows it to people, or as JSON to tools.

mod page;

#[cfg(test)]
mod tests;

use std::io::Write;

use berth_cni::contract::Ask;

use crate::cli::StatusArgs;
use crate::client::{self, ClientError};

/// Runs `berthd status`.
///
/// # Errors
/// [`ClientError`]. A reader of the output that has had enough is no error.
pub fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<(), ClientError> {
    let state = client::fetch(&args.socket, Ask::State)?;
    let text = if args.json {
        format!("{state:#}\n")
    } else {
        let report = serde_json::from_value(state);
        page::render(&report.map_err(|error| ClientError::Garbled(error.to_string()))?)
    };
    client::write(out, &text)
}
