//! Stands where a runtime looks for a plugin, runs the real one, and writes down how long that took.
//!
//! Installed as `DIR/bin/NAME` it runs `DIR/real/NAME` with its own input, output and environment, and appends a line
//! `NAME VERB MICROSECONDS` to `DIR/times`: from before the real one is started until it has ended. Its own start and
//! end are not in that, but the runtime waits for them.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Error, ErrorKind, Write};
use std::process::{Command, ExitCode};
use std::time::Instant;

fn main() -> io::Result<ExitCode> {
    let own = env::current_exe()?;
    let lost = || Error::new(ErrorKind::NotFound, "not installed as DIR/bin/NAME");
    let name = own.file_name().ok_or_else(lost)?;
    let dir = own.parent().and_then(|bin| bin.parent()).ok_or_else(lost)?;
    let mut real = Command::new(dir.join("real").join(name));
    let started = Instant::now();
    let status = real.status()?;
    let took = started.elapsed();
    let verb = env::var("CNI_COMMAND").unwrap_or_default();
    let line = format!("{} {verb} {}\n", name.display(), took.as_micros());
    let mut times = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("times"))?;
    times.write_all(line.as_bytes())?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
