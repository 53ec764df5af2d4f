//! One call of the plugin, from the environment to the exit status: which verb it is, whether it may be answered, and
//! what is printed. The order of the checks is the reference's: environment, stdin, JSON and name, verb, version.

use std::process::ExitCode;
use std::time::Instant;

use serde_json::Value;

use crate::config::Config;
use crate::contract::{AttachmentId, PLUGIN_MARK};
use crate::env::{Environment, Verb};
use crate::error::{self, Error, code};
use crate::version::{self, Version};
use crate::{add, check, del, gc, status, stdin};

/// A call that passed the checks that all verbs but VERSION have in common.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) environment: Environment,
    pub(crate) config: Config,
    pub(crate) id: AttachmentId,
    pub(crate) version: Version,
    pub(crate) deadline: Instant,
}

/// Answers the call that the process's environment and stdin describe: at most one JSON document on stdout, and exit
/// status 0 for success or 1.
pub fn run() -> ExitCode {
    let mut version = None;
    let answer = perform(Instant::now(), &mut version);
    let printed = match &answer {
        Ok(None) => Ok(()),
        Ok(Some(result)) => error::print(result),
        Err(failure) => {
            error::print(&reworded(failure.clone()).to_json(version.map(Version::as_str)))
        }
    };
    // A result that nobody received is no success.
    if answer.is_ok() && printed.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Checks and carries out one call. `version` is set as soon as it is known, since errors carry it.
fn perform(started: Instant, version: &mut Option<Version>) -> Result<Option<Value>, Error> {
    if std::env::var_os("CNI_COMMAND").is_none_or(|command| command.is_empty()) {
        introduce();
    }
    let environment = Environment::read(|name| std::env::var_os(name))?;
    if environment.verb == Verb::Version {
        return Ok(Some(version::answer(&stdin::glance())));
    }
    let deadline = started + environment.verb.limit();
    let config = Config::parse(&stdin::read(deadline)?)?;
    *version = Version::named(config.version());
    let network = config.name()?.to_owned();
    let act = act(&environment.verb)?;
    let version = Version::negotiate(config.version(), &environment.verb)?;
    let id = AttachmentId {
        network,
        container_id: environment.container_id.clone(),
        ifname: environment.ifname.clone(),
    };
    let call = Call {
        environment,
        config,
        id,
        version,
        deadline,
    };
    act(&call)
}

type Act = fn(&Call) -> Result<Option<Value>, Error>;

/// What carries out a verb. VERSION is none of these: it needs no configuration.
fn act(verb: &Verb) -> Result<Act, Error> {
    Ok(match verb {
        Verb::Add => |call| add::add(call).map(Some),
        Verb::Del => |call| del::del(call).map(|()| None),
        Verb::Check => |call| check::check(call).map(|()| None),
        Verb::Gc => |call| gc::gc(call).map(|()| None),
        Verb::Status => |call| status::status(call).map(|()| None),
        Verb::Version | Verb::Unknown(_) => {
            return Err(Error::new(
                code::ENVIRONMENT,
                format!("unknown CNI_COMMAND: {verb}"),
            ));
        }
    })
}

/// DEL's errors have words to avoid, whatever check or daemon they come from.
fn reworded(failure: Error) -> Error {
    if std::env::var_os("CNI_COMMAND").is_some_and(|command| command == "DEL") {
        failure.for_del()
    } else {
        failure
    }
}

/// For people who start the plugin by hand; the runtime reads stdout.
fn introduce() {
    let versions = Version::ALL.map(Version::as_str).join(", ");
    error::note(&format!(
        "{PLUGIN_MARK} {}; CNI protocol versions: {versions}",
        env!("CARGO_PKG_VERSION")
    ));
}
