//! The cases by group. A file of a group is a table of [`Case`]s (`cases!`) and their functions, named alike.

/// A group's table `CASES`: for each function its level, assertions, sources, versions and modes, and its rule.
macro_rules! cases {
    ($group:ident; $($name:ident: $level:ident, [$($assertion:literal),+], [$($source:expr),+], $versions:expr, $modes:ident,
        $rule:literal;)+) => {
        pub(in crate::cases) const CASES: &[$crate::case::Case] = &[$($crate::case::Case {
            group: $crate::case::Group::$group,
            name: stringify!($name),
            rule: $rule,
            assertions: &[$($assertion),+],
            sources: &[$($source),+],
            level: $crate::case::Level::$level,
            versions: $versions,
            modes: $crate::case::Modes::$modes,
            run: $name,
        }),+];
    };
}

mod add;
mod chain;
mod check;
mod configuration;
mod corpus;
mod del;
mod delegation;
mod environment;
mod errors;
mod gc;
mod lifecycle;
mod process;
mod results;
mod status;
mod version;
mod versions;

use crate::case::Case;

/// The tables in the order in which they run.
pub const ALL: &[&[Case]] = &[
    environment::CASES,
    environment::needs::CASES,
    environment::values::CASES,
    environment::args::CASES,
    environment::namespaces::CASES,
    configuration::CASES,
    configuration::members::CASES,
    versions::CASES,
    version::CASES,
    errors::CASES,
    process::CASES,
    add::CASES,
    add::earlier::CASES,
    add::previous::CASES,
    add::refusals::CASES,
    results::CASES,
    results::kernel::CASES,
    results::kernel::addresses::CASES,
    results::kernel::routes::CASES,
    del::CASES,
    check::CASES,
    status::CASES,
    gc::CASES,
    lifecycle::CASES,
    delegation::CASES,
    chain::CASES,
    corpus::CASES,
];
