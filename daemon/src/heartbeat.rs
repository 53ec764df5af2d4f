//! Says that the daemon is alive: a file beside the socket whose time is renewed on a timer of its own. STATUS reads it
//! when nobody answers, so that a restart does not make the node NotReady.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// Between two renewals: several fit into the 60 s that STATUS allows.
const EVERY: Duration = Duration::from_secs(10);

/// Renews the file's time at once and then for ever. That it cannot is said once; a daemon that answers needs no file.
pub async fn beat(path: &Path) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match touch(path) {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                warn!(%error, path = %path.display(), "heartbeat not written");
                failing = true;
            }
            Err(_) => {}
        }
    }
}

/// `touch <path>`; mode 0600.
fn touch(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600);
    file.open(path)?.set_modified(SystemTime::now())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::metadata;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_is_renewed_before_status_takes_it_for_old() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("berthd.alive");
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        let beating = tokio::spawn({
            let path = path.clone();
            async move { beat(&path).await }
        });
        for _ in 0..3 {
            tokio::time::sleep(berth_cni::contract::ALIVE_WITHIN / 2).await;
            assert!(metadata(&path).unwrap().modified().unwrap() > long_ago);
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        // A directory that comes back is written to again.
        std::fs::remove_file(&path).unwrap();
        tokio::time::sleep(2 * EVERY).await;
        assert!(path.exists());
        beating.abort();
    }
}
