//! The file that stands for a daemon: `up`, `down`, `hung` or `starting` is in it; none means `up`.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::call::Call;
use crate::failure::Failure;
use crate::rules::broken;

/// Which code says that nothing is served: 11 to ADD and CHECK, 50 to STATUS.
pub fn ask(call: &Call, code: i64) -> Result<(), Failure> {
    let Some(file) = call.conf.daemon() else {
        return Ok(());
    };
    look(Some(&file)).map_err(|failure| Failure { code, ..failure })
}

/// Whether the daemon serves. One that hangs is given up at once.
pub fn look(file: Option<&Path>) -> Result<(), Failure> {
    let state = file.and_then(|file| std::fs::read_to_string(file).ok());
    let state = state.as_deref().map_or("up", str::trim);
    if state == "up" {
        return Ok(());
    }
    if state == "hung" && broken("status-hangs") {
        pause(Duration::from_secs(90));
    }
    Err(Failure::new(11, format!("the daemon is {state}")))
}

/// Lets time pass, which only a broken plugin does.
pub fn pause(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(time);
}
