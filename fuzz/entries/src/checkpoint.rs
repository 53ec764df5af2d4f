//! The checkpoint: berth's own, aws-node's, or what is left of either.

use std::fs;
use std::path::Path;

use berthd::actor::Persisted;
use berthd::store::checkpoint::{Loaded, encode, load};
use ipam::{Demand, Event, History, Limits, Pool, PoolSettings, Snapshot, Timestamp, View, plan};

/// When the daemon starts in this test: an hour after the boot.
const NOW: Timestamp = Timestamp::from_secs(3600);

/// A file of these bytes. It is set aside as it was, or what is written again reads as the same; a state that does not
/// contradict itself can be started with, planned with and written.
pub fn checkpoint(data: &[u8]) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ipam.json");
    fs::write(&path, data).expect("a file");
    match read(&path) {
        Loaded::Fresh => panic!("a file was overlooked"),
        Loaded::Corrupt { set_aside, error } => {
            assert_eq!(fs::read(set_aside).expect("set aside"), data);
            assert!(!path.exists() && !error.is_empty());
        }
        Loaded::Foreign { allocations } => {
            // As berth would write them, with a member of its own.
            let mut document = Vec::new();
            encode(&allocations, &1, &mut document).expect("an encoding");
            fs::write(&path, document).expect("a file");
            let again = load::<u8>(&path).expect("a file");
            assert_eq!(
                again,
                Loaded::Ours {
                    allocations,
                    berth: 1
                }
            );
        }
        Loaded::Ours { allocations, berth } => {
            let mut document = Vec::new();
            berth.encode(&mut document).expect("an encoding");
            fs::write(&path, document).expect("a file");
            let state = berth.clone();
            assert_eq!(read(&path), Loaded::Ours { allocations, berth });
            restart(state);
        }
    }
}

fn read(path: &Path) -> Loaded<Persisted> {
    Persisted::load(path).expect("a file that can be read")
}

/// The daemon's next start with a state that it found.
fn restart(state: Persisted) {
    let Ok(mut pool) = Pool::try_from(state.pool) else {
        return;
    };
    for same_boot in [true, false] {
        let now = NOW;
        if pool.apply(Event::Restarted { now, same_boot }).is_err() {
            return;
        }
        pool.check().expect("a start does not contradict the state");
        let written = serde_json::to_vec(&pool.snapshot()).expect("an encoding");
        let snapshot: Snapshot =
            serde_json::from_slice(&written).expect("what was written can be read");
        let again = Pool::try_from(snapshot).expect("what was written is consistent");
        assert_eq!(again.snapshot(), pool.snapshot());
        let planned = plan(
            &View {
                pool: &pool,
                limits: Limits {
                    enis: 3,
                    slots_per_eni: 9,
                    prefixes: true,
                },
                settings: &PoolSettings::default(),
                demand: Demand {
                    waiting: 1,
                    bound: 0,
                },
                subnet: None,
                history: &History::default(),
                token_seed: "berth-5eed",
            },
            now,
        );
        for (id, action) in planned.actions {
            drop(pool.apply(Event::Started { id, action, now }));
        }
    }
}
