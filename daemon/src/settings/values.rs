//! The kinds of values that variables have, with what is allowed in words.

use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Go's `strconv.ParseBool`, which aws-node uses.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A whole number of a range.
pub(super) fn number(
    allowed: RangeInclusive<u32>,
    unit: &str,
) -> impl Fn(&str) -> Result<u32, String> {
    let (from, to) = allowed.into_inner();
    move |text| match text.parse() {
        Ok(number) if (from..=to).contains(&number) => Ok(number),
        _ => Err(format!(
            "must be a whole number of {unit} from {from} to {to}"
        )),
    }
}

/// A path that does not depend on where the daemon was started.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    match PathBuf::from(text) {
        path if path.is_absolute() => Ok(path),
        _ => Err("must be an absolute path".to_owned()),
    }
}
