//! Reads variables one by one, and keeps what is wrong, what is worth a warning, and every value for the report.

use super::errors::{SettingError, SettingsErrors};
use super::source::Source;
use crate::report::SettingReport;

/// Collects while the sections read.
pub(super) struct Reader<'a> {
    source: &'a dyn Source,
    errors: Vec<SettingError>,
    warnings: Vec<String>,
    values: Vec<SettingReport>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            errors: Vec::new(),
            warnings: Vec::new(),
            values: Vec::new(),
        }
    }

    /// The variable's value. A mistake is kept and the default returned, which nobody will use.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> T {
        let (value, source) = match self.text(name).map(|text| (parse(&text), text)) {
            Some((Ok(value), _)) => (value, "environment"),
            Some((Err(why), value)) => {
                self.errors.push(SettingError::Invalid { name, value, why });
                (default, "default")
            }
            None => (default, "default"),
        };
        self.list(name, show(&value), source);
        value
    }

    /// The variable's text, if it is set and not empty.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let text = match self.source.get(name)?.into_string() {
            Ok(text) => text,
            Err(bytes) => {
                let value = bytes.to_string_lossy().into_owned();
                let why = "is not UTF-8".to_owned();
                self.errors.push(SettingError::Invalid { name, value, why });
                return None;
            }
        };
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    /// Keeps what is wrong with a variable that has no value of its own here.
    pub(super) fn error(&mut self, error: SettingError) {
        self.errors.push(error);
    }

    /// Keeps a sentence for the log.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Lists a variable with its value and where that came from.
    pub(super) fn list(&mut self, name: &'static str, value: String, source: &str) {
        self.values.push(SettingReport {
            name: name.to_owned(),
            value,
            source: source.to_owned(),
        });
    }

    /// Lists a variable that is set and has no effect.
    pub(super) fn without_effect(&mut self, name: &'static str, value: String) {
        self.list(name, value, "environment, without effect");
    }

    /// The warnings and the values, if nothing was wrong.
    pub(super) fn finish(self) -> Result<(Vec<String>, Vec<SettingReport>), SettingsErrors> {
        if self.errors.is_empty() {
            Ok((self.warnings, self.values))
        } else {
            Err(SettingsErrors(self.errors))
        }
    }
}
