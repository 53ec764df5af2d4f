//! Under a real containerd: what a sandbox costs with each network, how long each plugin takes there, and how soon many
//! pods run, also where an ENI must be attached for them.
//!
//! Debian's containerd and runc, driven over the CRI as kubelet does; nothing is pulled.

mod arrival;
mod networks;
mod sandboxes;
mod timed;

use crate::section::{Bench, Section};

/// What it is.
pub const SECTION: Section = Section {
    name: "cri",
    about: "sandboxes and pods under containerd, each plugin's part, an ENI attached in between",
    run,
};

fn run(bench: &mut Bench) -> anyhow::Result<()> {
    sandboxes::measure(bench)?;
    arrival::measure(bench)
}
