//! What people and programs get to read of runs: tables, `fleet.json`, pictures. Nothing is written or printed here, only
//! made.

pub mod figures;
pub mod goals;
pub mod json;
pub mod means;
pub mod picture;
pub mod spread;
pub mod table;

use crate::run::{Row, Run};

/// One workload under one policy.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The first seed's run.
    pub run: Run,
    /// The figures of each seed, the first one's too.
    pub seeds: Vec<Row>,
    /// Which trace it replays, if it does: a file, or `synthetic`.
    pub trace: Option<String>,
}

impl Cell {
    /// The first seed's figures.
    pub fn row(&self) -> &Row {
        &self.run.row
    }
}

#[cfg(test)]
pub(crate) mod tests;
