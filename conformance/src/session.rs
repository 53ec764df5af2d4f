//! A session: which cases are run in which versions and modes, and what came of each.

mod places;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::ensure;

use crate::case::{Case, Finding, Level, Mode, Modes, Versions};
use crate::expectation::Expectations;
use crate::netns::Netns;
use crate::runtime::conflist::Version;
use crate::subject::Subject;
use crate::world::World;

/// What is to be run.
#[derive(Debug)]
pub struct Session {
    /// The plugin under test.
    pub subject: Subject,
    /// Names of groups or cases, or numbers of assertions; none means all.
    pub only: Vec<String>,
    /// Rules that weigh less are left out.
    pub level: Level,
    /// Ascending.
    pub versions: Vec<Version>,
    /// Without repetition.
    pub modes: Vec<Mode>,
    /// Known failures.
    pub expected: Expectations,
    /// The namespaces in which the plugin is run, one case at a time in each; none is a new one for each case.
    pub hosts: Vec<PathBuf>,
    /// How many cases are tried at once, each in a new namespace. Where there are hosts, as many as those.
    pub jobs: NonZeroUsize,
    /// Whether the first failure ends it.
    pub fail_fast: bool,
}

/// What came of one case in one version and mode.
#[derive(Clone, Debug)]
pub struct Record {
    /// The case.
    pub case: &'static Case,
    /// The version.
    pub version: Version,
    /// The mode.
    pub mode: Mode,
    /// Whether it passed.
    pub outcome: Outcome,
    /// What was wrong, why it was skipped, or why it was expected to fail; empty if it passed.
    pub detail: String,
}

/// Whether a case passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule holds.
    Passed,
    /// It does not, or it does though a failure was expected, or nobody knows.
    Failed,
    /// It does not, as the expectations say.
    FailedAsExpected,
    /// It was not tried.
    Skipped,
}

impl Outcome {
    /// As in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::FailedAsExpected => "expected failure",
            Self::Skipped => "skipped",
        }
    }
}

/// One run that is to come.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// The case.
    pub case: &'static Case,
    /// The version.
    pub version: Version,
    /// The mode.
    pub mode: Mode,
}

impl Session {
    /// The runs, in order.
    ///
    /// # Errors
    /// Something that was chosen does not exist.
    pub fn plan(&self, cases: &[&'static Case]) -> anyhow::Result<Vec<Planned>> {
        for chosen in &self.only {
            let known = cases.iter().any(|case| case.is_chosen_by(chosen));
            ensure!(
                known,
                "no case, group or assertion {chosen:?}: see `conformance list`"
            );
        }
        let chosen = |case: &&&'static Case| {
            case.level <= self.level
                && (self.only.is_empty() || self.only.iter().any(|only| case.is_chosen_by(only)))
        };
        let mut planned = Vec::new();
        for case in cases.iter().filter(chosen).copied() {
            for mode in self.modes_of(case) {
                let versions = self.versions_of(case).into_iter();
                planned.extend(versions.map(|version| Planned {
                    case,
                    version,
                    mode,
                }));
            }
        }
        Ok(planned)
    }

    fn versions_of(&self, case: &Case) -> Vec<Version> {
        let all = self.versions.iter().copied();
        match case.versions {
            Versions::Each => all.collect(),
            Versions::Since(since) => all.filter(|version| *version >= since).collect(),
            Versions::Before(before) => all.filter(|version| *version < before).collect(),
            Versions::Once => all.last().into_iter().collect(),
            Versions::OnceSince(since) => all.last().into_iter().filter(|v| *v >= since).collect(),
        }
    }

    fn modes_of(&self, case: &Case) -> Vec<Mode> {
        let only = |mode| {
            self.modes
                .iter()
                .copied()
                .filter(|one| *one == mode)
                .collect()
        };
        match case.modes {
            Modes::Each => self.modes.clone(),
            Modes::Once => self.modes.first().copied().into_iter().collect(),
            Modes::Creating => only(Mode::Creating),
            Modes::Chained => only(Mode::Chained),
        }
    }

    fn try_one(&self, subject: &Subject, planned: &Planned, host: Netns, dir: &Path) -> Record {
        let world = World::new(subject, planned.version, planned.mode, host, dir);
        self.record(planned, (planned.case.run)(&world))
    }

    fn record(&self, planned: &Planned, verdict: Result<(), Finding>) -> Record {
        let Planned {
            case,
            version,
            mode,
        } = *planned;
        let expected = self.expected.reason(case, version, mode);
        let (outcome, detail) = match (verdict, expected) {
            (Ok(()), None) => (Outcome::Passed, String::new()),
            (Ok(()), _) if self.expected.may_pass(case, version, mode) => {
                (Outcome::Passed, String::new())
            }
            (Ok(()), Some(reason)) => (
                Outcome::Failed,
                format!("passes, but is expected to fail: {reason}"),
            ),
            (Err(Finding::Skip(why)), _) => (Outcome::Skipped, why),
            (Err(Finding::Wrong(_)), Some(reason)) => {
                (Outcome::FailedAsExpected, reason.to_owned())
            }
            (Err(found), _) => (Outcome::Failed, found.to_string()),
        };
        Record {
            case,
            version,
            mode,
            outcome,
            detail,
        }
    }
}
