//! One call up to its verb: the checks in the reference's order, environment, stdin, JSON and name, verb, version.

use serde_json::Value;

use crate::conf::Conf;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::rules::broken;
use crate::state::Key;
use crate::{add, answer, args, check, daemon, del, fussy, gc, status, stdin};

/// The versions of the protocol, oldest first.
pub const SUPPORTED: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// A call that may be carried out.
pub struct Call {
    pub environment: Environment,
    pub conf: Conf,
    pub key: Key,
}

/// Checks and carries out. `version` is set once the configuration's is known to be one of ours.
pub fn perform(verb: &str, version: &mut String) -> Result<Option<Value>, Failure> {
    ambient(verb)?;
    if broken("stdin-before-env") && verb != "VERSION" {
        Conf::parse(&stdin::read(verb)?)?;
    }
    let environment = Environment::read(verb)?;
    if verb.is_empty() && broken("command-unset-succeeds") {
        return Ok(None);
    }
    if verb == "VERSION" {
        if broken("version-needs-daemon") {
            let conf = Conf::parse(&stdin::glance())?;
            daemon::look(conf.daemon().as_deref())?;
        }
        return answer::versions(&stdin::glance()).map(Some);
    }
    let parsed = stdin::read(verb).and_then(|bytes| {
        let conf = Conf::parse(&bytes)?;
        fussy::refuse(verb, &conf, bytes.len()).map_or(Ok(conf), Err)
    });
    let conf = match parsed {
        Err(_) if broken("del-garbage") && verb == "DEL" => return Ok(None),
        Err(_) if broken("gc-garbage") && verb == "GC" => return Ok(None),
        Err(_) if broken("stdin-garbage-succeeds") => return Ok(None),
        parsed => parsed?,
    };
    if broken("stdout-log-asked") && conf.get("logLevel").is_some() {
        answer::log();
    }
    if SUPPORTED.contains(&conf.version.as_str()) {
        version.clone_from(&conf.version);
    }
    if broken("version-before-name") || (broken("version-before-name-del") && verb == "DEL") {
        negotiate(&conf, verb)?;
    }
    let name = conf.name()?;
    let act = act(verb)?;
    if broken("unneeded-args-checked") && matches!(verb, "GC" | "STATUS") {
        args::judge(&environment.args)?;
    }
    negotiate(&conf, verb)?;
    let key = Key {
        network: name,
        container_id: environment.container_id.clone(),
        ifname: environment.ifname.clone(),
    };
    let call = Call {
        environment,
        conf,
        key,
    };
    act(&call)
}

type Act = fn(&Call) -> Result<Option<Value>, Failure>;

fn act(verb: &str) -> Result<Act, Failure> {
    let verb = match verb {
        lower if broken("command-any-case") => lower.to_uppercase(),
        verb => verb.to_owned(),
    };
    Ok(match verb.as_str() {
        "ADD" => add::add,
        "DEL" => del::del,
        "CHECK" => check::check,
        "GC" => gc::gc,
        "STATUS" => status::status,
        _ if broken("unknown-command-succeeds") => |_| Ok(None),
        other => return Err(Failure::new(4, format!("unknown CNI_COMMAND: {other}"))),
    })
}

fn negotiate(conf: &Conf, verb: &str) -> Result<(), Failure> {
    let gate = match verb {
        "CHECK" if !broken("check-ungated") => Some((0, 4)),
        "GC" if broken("gc-0.3.0") && conf.version == "0.3.0" => None,
        "GC" if !broken("gc-ungated") => Some((1, 1)),
        "STATUS" if !broken("status-ungated") => Some((1, 1)),
        _ => None,
    };
    let given = conf.version.as_str();
    if let Some(gate) = gate {
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
        let mut parts = given.split('.');
        let (Some(major), Some(minor)) = (number(parts.next()), number(parts.next())) else {
            let msg = format!("cniVersion {given} is no version");
            return Err(Failure::new(6, msg));
        };
        if (major, minor) < gate {
            let msg = format!("config version does not allow {verb}");
            return Err(Failure::new(1, msg).details(format!("it is {given}")));
        }
    }
    let in_range = broken("version-range") && (given.starts_with("1.") || given.starts_with("0.4"));
    let in_range = in_range || (broken("any-version-status") && verb == "STATUS");
    if SUPPORTED.contains(&given) || broken("any-version") || in_range {
        return Ok(());
    }
    let code = if broken("version-other-code") { 7 } else { 1 };
    let details = format!("config is {given:?}, plugin supports {SUPPORTED:?}");
    let details = if broken("version-undetailed") {
        String::new()
    } else {
        details
    };
    Err(Failure::new(code, "incompatible CNI versions").details(details))
}

/// Nothing but CNI's variables may matter.
fn ambient(verb: &str) -> Result<(), Failure> {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
    if broken("ambient-proxy") && proxies.into_iter().any(is_set) {
        return Err(Failure::new(100, "the proxy does not answer"));
    }
    if broken("needs-home") && !is_set("HOME") {
        return Err(Failure::new(100, "HOME is not set"));
    }
    if broken("needs-tools-path") && !is_set("PATH") {
        return Err(Failure::new(100, "PATH is not set"));
    }
    if broken("status-needs-tools-path") && verb == "STATUS" && !is_set("PATH") {
        return Err(Failure::new(100, "PATH is not set"));
    }
    if broken("needs-cwd-path") {
        std::env::current_dir()?;
    }
    if broken("cwd-litter") {
        let _ = std::fs::write("broken-cni.log", "");
    }
    if broken("needs-cwd") {
        std::fs::write("broken-cni.lock", "")?;
    }
    Ok(())
}
