//! Which cases a plugin is known to fail, and why: a JSON file of entries `{"case", "reason"}`, narrowed where needed by
//! `"versions"` and `"modes"`, softened by `"sometimes"` where it depends on the moment. A case that is listed and passes is an error, so that no list outlives its reasons.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::case::{Case, Mode};
use crate::catalog;
use crate::runtime::conflist::Version;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    case: String,
    reason: String,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    modes: Vec<String>,
    /// It may pass as well: it depends on the moment.
    #[serde(default)]
    sometimes: bool,
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations(Vec<Entry>);

impl Expectations {
    /// Reads the file `path`.
    ///
    /// # Errors
    /// It cannot be read or decoded, names a case, version or mode that there is not, or gives no reason.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let entries: Vec<Entry> = serde_json::from_str(text)?;
        for entry in &entries {
            let known = catalog::cases().iter().any(|case| case.id() == entry.case);
            ensure!(known, "there is no case {:?}", entry.case);
            ensure!(
                !entry.reason.trim().is_empty(),
                "{} is listed without a reason",
                entry.case
            );
            if let Some(version) = entry
                .versions
                .iter()
                .find(|version| Version::named(version).is_none())
            {
                bail!("{}: there is no version {version:?}", entry.case);
            }
            let modes = [Mode::Creating, Mode::Chained].map(Mode::as_str);
            if let Some(mode) = entry
                .modes
                .iter()
                .find(|mode| !modes.contains(&mode.as_str()))
            {
                bail!("{}: there is no mode {mode:?}", entry.case);
            }
        }
        Ok(Self(entries))
    }

    /// Why `case` is to fail in this version and mode; `None` if it is to pass.
    #[must_use]
    pub fn reason(&self, case: &Case, version: Version, mode: Mode) -> Option<&str> {
        let entry = self.entry(case, version, mode);
        entry.map(|entry| entry.reason.as_str())
    }

    /// Whether `case` may pass although it is listed.
    #[must_use]
    pub fn may_pass(&self, case: &Case, version: Version, mode: Mode) -> bool {
        let entry = self.entry(case, version, mode);
        entry.is_some_and(|entry| entry.sometimes)
    }

    fn entry(&self, case: &Case, version: Version, mode: Mode) -> Option<&Entry> {
        let any =
            |list: &[String], value: &str| list.is_empty() || list.iter().any(|one| one == value);
        let applies = |entry: &&Entry| {
            entry.case == case.id()
                && any(&entry.versions, version.as_str())
                && any(&entry.modes, mode.as_str())
        };
        self.0.iter().find(applies)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_for_its_versions_and_modes_and_must_name_a_case() {
        let case = catalog::cases()[0];
        let text = format!(
            r#"[{{"case": "{}", "reason": "known", "versions": ["1.0.0"], "modes": ["chained"]}}]"#,
            case.id()
        );
        let expected = Expectations::parse(&text).unwrap();
        assert_eq!(
            expected.reason(case, Version::V1_0_0, Mode::Chained),
            Some("known")
        );
        assert_eq!(expected.reason(case, Version::V1_1_0, Mode::Chained), None);
        assert_eq!(expected.reason(case, Version::V1_0_0, Mode::Creating), None);
        for (from, to) in [
            (case.id(), "add::none".to_owned()),
            ("known".into(), " ".into()),
            ("1.0.0".into(), "2".into()),
        ] {
            Expectations::parse(&text.replace(&from, &to)).unwrap_err();
        }
    }
}
