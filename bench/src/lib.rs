//! What `make bench` measures, and against what. A section measures one subject, its variants interleaved, and adds to
//! the [`section::Bench`]: times as rows, everything else as figures, and the ratios that are goals. Nothing here is a test: no
//! time is asserted.

pub mod add;
pub mod cri;
pub mod daemon;
pub mod goals;
pub mod machine;
pub mod miss;
pub mod order;
pub mod packets;
pub mod process;
pub mod quantiles;
pub mod record;
pub mod report;
pub mod section;
pub mod timed;
