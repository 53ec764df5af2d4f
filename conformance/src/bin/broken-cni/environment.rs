//! The variables that a verb requires, read and judged.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::failure::Failure;
use crate::rules::broken;

/// What the environment says; what the verb does not need is as found.
#[derive(Clone, Debug)]
pub struct Environment {
    pub container_id: String,
    pub netns: String,
    pub ifname: String,
    pub args: String,
    pub path: String,
    pub own_netns_allowed: bool,
}

impl Environment {
    pub fn read(verb: &str) -> Result<Self, Failure> {
        if verb.is_empty() && value("CNI_COMMAND").is_empty() {
            no_command()?;
        }
        let required = required(verb);
        let missing: Vec<&str> = required
            .iter()
            .copied()
            .filter(|name| is_missing(name))
            .collect();
        if !missing.is_empty() {
            return Err(missing_error(&missing));
        }
        let text = |name: &str, is_strict: bool| match value(name).into_string() {
            Ok(text) => Ok(text),
            Err(_) if broken("not-utf8-panics") => std::process::abort(),
            Err(bytes) if is_strict => {
                let lossy = bytes.to_string_lossy().into_owned();
                Err(Failure::new(4, format!("{name} is not UTF-8")).details(lossy))
            }
            Err(bytes) => Ok(String::from_utf8_lossy(&bytes.into_vec()).into_owned()),
        };
        let needs = |name| required.contains(&name);
        let takes_any = broken("not-utf8-taken-by-del") && verb == "DEL";
        let environment = Self {
            container_id: text("CNI_CONTAINERID", needs("CNI_CONTAINERID"))?,
            netns: text("CNI_NETNS", needs("CNI_NETNS"))?,
            ifname: text("CNI_IFNAME", needs("CNI_IFNAME") && !takes_any)?,
            args: text("CNI_ARGS", verb == "ADD")?,
            path: text("CNI_PATH", needs("CNI_PATH"))?,
            own_netns_allowed: own_netns_allowed(),
        };
        places(&environment.path)?;
        environment.judge(verb, &required)
    }

    fn judge(mut self, verb: &str, required: &[&str]) -> Result<Self, Failure> {
        let id = &self.container_id;
        let excused = broken("del-unvalidated") && verb == "DEL";
        if required.contains(&"CNI_CONTAINERID") && !broken("add-without-containerid") && !excused {
            let too_long = (broken("containerid-64-at-most") && id.len() > 64)
                || (broken("containerid-128-at-most") && id.len() > 128);
            let too_short = broken("containerid-2-at-least") && id.len() < 2;
            let upper =
                broken("containerid-lower-only") && id.bytes().any(|b| b.is_ascii_uppercase());
            let is_bad = !is_identifier(id) && !broken("containerid-unchecked");
            if is_bad || too_long || too_short || upper {
                let error = Failure::new(4, "invalid characters in CNI_CONTAINERID");
                let untold = broken("containerid-value-untold");
                return Err(if untold { error } else { error.details(id) });
            }
        }
        if required.contains(&"CNI_IFNAME") || broken("unneeded-checked") {
            check_ifname(&self.ifname)?;
        }
        if broken("ifname-lower") {
            self.ifname.make_ascii_lowercase();
        }
        if broken("ifname-length-unchecked") || broken("ifname-chars") {
            self.ifname.truncate(self.ifname.floor_char_boundary(15));
        }
        Ok(self)
    }
}

/// A letter or digit, then these and `_`, `.`, `-`.
pub fn is_identifier(text: &str) -> bool {
    let other = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let is_first_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    (is_first_well || broken("containerid-first-unchecked")) && text.bytes().all(other)
}

fn no_command() -> Result<(), Failure> {
    if broken("command-unset-succeeds") {
        return Ok(());
    }
    let code = if broken("command-unset-other-code") {
        999
    } else {
        4
    };
    Err(Failure::new(
        code,
        "required env variables [CNI_COMMAND] missing",
    ))
}

fn required(verb: &str) -> Vec<&'static str> {
    let verb = verb.to_owned();
    let verb = if broken("command-any-case") {
        verb.to_uppercase()
    } else {
        verb
    };
    let mut required = match verb.as_str() {
        "ADD" | "CHECK" => vec!["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
        "DEL" if broken("del-requires-netns") => vec!["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
        "DEL" => vec!["CNI_CONTAINERID", "CNI_IFNAME"],
        "GC" if broken("gc-requires-container") => vec!["CNI_CONTAINERID", "CNI_PATH"],
        "GC" if broken("gc-without-path") => vec![],
        "GC" => vec!["CNI_PATH"],
        "STATUS" if broken("status-requires-container") => vec!["CNI_CONTAINERID"],
        "VERSION" if broken("version-requires-env") => vec!["CNI_CONTAINERID"],
        _ => vec![],
    };
    let optional = [
        ("add-without-netns", "CNI_NETNS"),
        ("add-without-containerid", "CNI_CONTAINERID"),
        ("add-without-ifname", "CNI_IFNAME"),
    ];
    for (rule, name) in optional {
        required.retain(|required| *required != name || !broken(rule));
    }
    if broken("check-requires-path") && verb == "CHECK" {
        required.push("CNI_PATH");
    }
    if broken("args-absent-refused") && verb == "ADD" {
        required.push("CNI_ARGS");
    }
    required
}

fn missing_error(missing: &[&str]) -> Failure {
    let code = if broken("missing-other-code") { 7 } else { 4 };
    let shown = if broken("missing-only-first") {
        &missing[..1]
    } else {
        missing
    };
    let names = if broken("missing-unnamed") {
        String::new()
    } else {
        shown.join(",")
    };
    Failure::new(code, format!("required env variables [{names}] missing"))
}

fn check_ifname(name: &str) -> Result<(), Failure> {
    if broken("ifname-unchecked") || (name.is_empty() && broken("add-without-ifname")) {
        return Ok(());
    }
    let invalid = |msg: &str| Err(Failure::new(4, msg).details(name));
    let length = if broken("ifname-chars") {
        name.chars().count()
    } else {
        name.len()
    };
    let limit = if broken("ifname-14-at-most") { 14 } else { 15 };
    if length > limit && !broken("ifname-length-unchecked") {
        return invalid("interface name is too long");
    }
    if name == "." || name == ".." {
        return invalid("interface name is . or ..");
    }
    if broken("ifname-letters-only") && name.contains(|c: char| !c.is_ascii_alphanumeric()) {
        return invalid("interface name has other characters than letters and digits");
    }
    if name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace()) {
        return invalid("interface name contains / or : or whitespace characters");
    }
    Ok(())
}

/// What need not be true of CNI_PATH.
fn places(path: &str) -> Result<(), Failure> {
    let mut dirs = path.split(':').filter(|dir| !dir.is_empty());
    if broken("path-must-exist") && dirs.any(|dir| !std::path::Path::new(dir).is_dir()) {
        return Err(Failure::new(4, "CNI_PATH names no directory"));
    }
    Ok(())
}

fn own_netns_allowed() -> bool {
    let value = value("CNI_NETNS_OVERRIDE");
    let is_set = value == "1" || value.eq_ignore_ascii_case("true");
    (is_set && !broken("own-netns-override-ignored")) || broken("own-netns-allowed")
}

fn value(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_default()
}

fn is_missing(name: &str) -> bool {
    match std::env::var_os(name) {
        Some(value) => value.is_empty() && !broken("empty-is-set"),
        None => true,
    }
}
