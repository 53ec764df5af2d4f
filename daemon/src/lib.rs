//! The node daemon of berth. The library holds everything but the choice of adapters, which `main` makes.

pub mod actor;
pub mod app;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod conflist;
pub mod dataplane;
pub mod degraded;
pub mod descriptors;
pub mod heartbeat;
pub mod http;
mod inotify;
pub mod install;
pub mod lock;
pub mod logging;
pub mod metrics;
pub mod node;
pub mod readiness;
pub mod replace;
pub mod report;
pub mod sandboxes;
pub mod server;
pub mod settings;
pub mod status;
pub mod store;
pub mod subnets;
pub mod tombstones;
