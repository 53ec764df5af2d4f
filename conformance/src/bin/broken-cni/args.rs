//! CNI_ARGS: only the form matters here, and one key that is put into the result's dns to be seen.

use crate::call::Call;
use crate::failure::Failure;
use crate::rules::broken;

/// Judges CNI_ARGS as ADD does.
pub fn check(call: &Call) -> Result<(), Failure> {
    judge(&call.environment.args)
}

/// Judges this text.
pub fn judge(args: &str) -> Result<(), Failure> {
    if args.is_empty() || broken("args-malformed-accepted") {
        return Ok(());
    }
    let invalid = |why: &str| Failure::new(4, format!("invalid CNI_ARGS: {why}"));
    if broken("args-order") && !args.starts_with("IgnoreUnknown") {
        return Err(invalid("IgnoreUnknown must come first"));
    }
    for pair in args.split(';') {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(invalid(pair));
        };
        if value.contains('=') {
            return Err(invalid(pair));
        }
        let known = ["IgnoreUnknown", "K8S_POD_NAMESPACE", "K8S_POD_NAME"];
        if broken("args-unknown-refused") && !known.contains(&key) {
            return Err(invalid(&format!("unknown key {key}")));
        }
    }
    Ok(())
}
