//! What a case is: one rule, where it is written, whom it is for, and the function that tries it.

use std::fmt;

use thiserror::Error;

use crate::runtime::conflist::Version;
use crate::world::{Declined, World};

/// One rule and how it is tried.
#[derive(Debug)]
pub struct Case {
    /// What the rule is about; the first half of the case's name.
    pub group: Group,
    /// Second half of the name, unique in its group.
    pub name: &'static str,
    /// What must hold, in a sentence.
    pub rule: &'static str,
    /// Numbers of the checklist's assertions (docs/conformance.md), for example `E01`.
    pub assertions: &'static [&'static str],
    /// Where it is written, or who relies on it.
    pub sources: &'static [Source],
    /// How much it weighs.
    pub level: Level,
    /// In which versions it is tried.
    pub versions: Versions,
    /// In which modes it is tried.
    pub modes: Modes,
    /// Tries it once; the world is this run's own.
    pub run: fn(&World<'_>) -> Verdict,
}

impl Case {
    /// `group::name`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}::{}", self.group, self.name)
    }

    /// Whether `chosen` means it: `group`, `group::name`, or the number of an assertion.
    #[must_use]
    pub fn is_chosen_by(&self, chosen: &str) -> bool {
        chosen == self.group.as_str() || chosen == self.id() || self.assertions.contains(&chosen)
    }
}

/// What came of a case.
pub type Verdict = Result<(), Finding>;

/// Why a case did not pass.
#[derive(Debug, Error)]
pub enum Finding {
    /// The plugin broke the rule: what it did, and what it should have done.
    #[error("{0}")]
    Wrong(String),
    /// The rule cannot be tried with this plugin or on this machine: why.
    #[error("{0}")]
    Skip(String),
    /// The suite could not do its own part. Counted as a failure: nobody knows whether the rule holds.
    #[error("the suite could not try it: {0:#}")]
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Finding {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Declined>() {
            Ok(declined) => Self::Skip(declined.to_string()),
            Err(error) => Self::Broken(error),
        }
    }
}

/// `Err(Finding::Wrong)` with this text.
///
/// # Errors
/// Always.
pub fn wrong<T>(what: impl Into<String>) -> Result<T, Finding> {
    Err(Finding::Wrong(what.into()))
}

/// `Err(Finding::Skip)` with this text.
///
/// # Errors
/// Always.
pub fn skip<T>(why: impl Into<String>) -> Result<T, Finding> {
    Err(Finding::Skip(why.into()))
}

/// Fails with `what` unless `holds`.
///
/// # Errors
/// It does not hold.
pub fn expect(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { wrong(what()) }
}

/// The outcome of one of several attempts: if it is `Err(Finding::Wrong)`, it says that it was the one with `what`.
///
/// # Errors
/// Those of the attempt.
pub fn with<T>(what: &str, outcome: Result<T, Finding>) -> Result<T, Finding> {
    outcome.map_err(|finding| match finding {
        Finding::Wrong(found) => Finding::Wrong(format!("{found} (with {what})")),
        other => other,
    })
}

/// What a rule is about, in the order in which groups run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The environment variables (E).
    Environment,
    /// The configuration on stdin (C).
    Configuration,
    /// Which versions are taken (V).
    Versions,
    /// The verb VERSION (N).
    Version,
    /// Error documents (X).
    Errors,
    /// The process: descriptors, time, children (P).
    Process,
    /// ADD (A).
    Add,
    /// Results (R).
    Results,
    /// DEL (D).
    Del,
    /// CHECK (K).
    Check,
    /// STATUS (S).
    Status,
    /// GC (G).
    Gc,
    /// Many calls, one after another and at once (Y).
    Lifecycle,
    /// The plugin with an IPAM plugin that it calls (L).
    Delegation,
    /// The plugin among others in a list, as runtimes run it.
    Chain,
    /// What runtimes were seen to send.
    Corpus,
}

impl Group {
    /// As in a case's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Configuration => "configuration",
            Self::Versions => "versions",
            Self::Version => "version",
            Self::Errors => "errors",
            Self::Process => "process",
            Self::Add => "add",
            Self::Results => "results",
            Self::Del => "del",
            Self::Check => "check",
            Self::Status => "status",
            Self::Gc => "gc",
            Self::Lifecycle => "lifecycle",
            Self::Delegation => "delegation",
            Self::Chain => "chain",
            Self::Corpus => "corpus",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The CNI specification: the section's title.
    Spec(&'static str),
    /// `pkg/skel`, on which the Go plugins stand: what runtimes have got used to.
    Skel,
    /// The CNI project's conventions (CONVENTIONS.md).
    Conventions,
    /// libcni, on which containerd, CRI-O and podman stand.
    Libcni,
    /// go-cni and containerd.
    Containerd,
    /// ocicni and CRI-O.
    CriO,
    /// The CNI project's plugins, when they stand in the same list.
    Plugins,
    /// Amazon's VPC CNI plugin, whose results plugins that replace it are handed.
    AwsNode,
    /// This suite: safer or stricter than what is written.
    Ours,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec(section) => write!(f, "spec \"{section}\""),
            Self::Skel => f.write_str("skel"),
            Self::Conventions => f.write_str("conventions"),
            Self::Libcni => f.write_str("libcni"),
            Self::Containerd => f.write_str("containerd"),
            Self::CriO => f.write_str("CRI-O"),
            Self::Plugins => f.write_str("reference plugins"),
            Self::AwsNode => f.write_str("aws-node"),
            Self::Ours => f.write_str("ours"),
        }
    }
}

/// How much a rule weighs; a heavier one is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
    /// The specification demands it, or a runtime breaks without it.
    Must,
    /// The specification recommends it, or the reference does it.
    Should,
    /// Neither; it makes a node safer.
    Ours,
}

impl Level {
    /// As in lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::Ours => "ours",
        }
    }
}

/// The versions in which a case is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// In each that the plugin is tested in.
    Each,
    /// In this one and newer ones.
    Since(Version),
    /// In those older than this one.
    Before(Version),
    /// Once, in the newest: the version does not come into it.
    Once,
    /// Once, in the newest, if that is this one or newer.
    OnceSince(Version),
}

/// Where the plugin stands in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Mode {
    /// First: it makes the interface.
    Creating,
    /// Behind others: it is given their result.
    Chained,
}

impl Mode {
    /// As in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Chained => "chained",
        }
    }
}

/// The modes in which a case is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modes {
    /// In each that the plugin is tested in.
    Each,
    /// Only as the first plugin.
    Creating,
    /// Only behind others.
    Chained,
    /// Once, in the first that the plugin is tested in: the mode does not come into it.
    Once,
}
