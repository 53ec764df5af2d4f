//! STATUS: whether ADDs are served.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::Failure;
use crate::rules::broken;
use crate::state::State;
use crate::{daemon, ipam};

pub fn status(call: &Call) -> Result<Option<Value>, Failure> {
    if broken("status-never-well") {
        return Err(Failure::new(50, "not yet"));
    }
    if broken("status-needs-prev") && call.conf.get("prevResult").is_none() {
        return Err(Failure::new(7, "required prevResult missing"));
    }
    if broken("status-slow") {
        daemon::pause(Duration::from_secs(2));
    }
    if !broken("status-mtu-unseen") {
        call.conf.mtu()?;
    }
    let mark = call.conf.data_dir().join("status");
    let has_failed = || daemon::ask(call, 50).is_err();
    if broken("add-needs-status") || (broken("status-blocks-add") && has_failed()) {
        fs::create_dir_all(call.conf.data_dir())?;
        fs::write(&mark, "asked")?;
    }
    if broken("status-takes-lock") {
        State::open(&call.conf.data_dir())?;
    }
    let code = if broken("status-other-code") { 7 } else { 50 };
    if !broken("status-always-well") {
        daemon::ask(call, code)?;
    }
    if !broken("status-ipam-unasked") {
        ipam::forward(call, "STATUS")?;
    }
    Ok(broken("status-prints").then(|| json!({"cniVersion": call.conf.version})))
}
