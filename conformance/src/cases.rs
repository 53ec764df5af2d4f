//! The cases by group. A file of a group is a table of [`Case`]s and their functions, named alike.

mod add;
mod check;
mod del;
mod environment;

use crate::case::Case;

/// The groups' tables in the order in which they run.
pub const ALL: &[&[Case]] = &[
    environment::CASES,
    //
    add::CASES,
    del::CASES,
    check::CASES,
];
