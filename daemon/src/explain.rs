//! `berthd explain`: asks the daemon why the node holds what it holds and what comes next, and shows all of it, or what
//! concerns one pod, address, prefix or ENI.

mod choice;
mod page;

#[cfg(test)]
mod tests;

use std::io::Write;

use berth_cni::contract::Ask;

use crate::cli::ExplainArgs;
use crate::client::{self, ClientError};
use crate::explanation::Explanation;

/// Runs `berthd explain`.
///
/// # Errors
/// [`ClientError`]. A reader of the output that has had enough is no error.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<(), ClientError> {
    let told = client::fetch(&args.socket, Ask::Explain)?;
    if args.json && args.what.is_none() {
        return client::write(out, &format!("{told:#}\n"));
    }
    let garbled = |error: serde_json::Error| ClientError::Garbled(error.to_string());
    let told: Option<Explanation> = serde_json::from_value(told).map_err(garbled)?;
    let Some(mut told) = told else {
        return Err(ClientError::Unidentified);
    };
    if let Some(what) = &args.what {
        told = choice::of(told, what).ok_or_else(|| ClientError::Unheard(what.clone()))?;
    }
    let text = if args.json {
        let document = serde_json::to_value(&told).map_err(garbled)?;
        format!("{document:#}\n")
    } else {
        page::render(&told)
    };
    client::write(out, &text)
}
