//! A session that is told to end (Ctrl-C, SIGTERM, a terminal that goes): it begins nothing more, ends what runs, and
//! takes back what it made. The second time it ends at once.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// As a shell counts a program that SIGINT ended.
const ENDED: i32 = 130;

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on signals ask, and do not end the process. Programs that are started have their own way with them.
///
/// # Errors
/// The system does not take the handlers.
pub fn heed() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // in this order: the first signal finds the flag not yet set
        flag::register_conditional_shutdown(signal, ENDED, ASKED.clone())?;
        flag::register(signal, ASKED.clone())?;
    }
    Ok(())
}

/// Whether one has come.
#[must_use]
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
