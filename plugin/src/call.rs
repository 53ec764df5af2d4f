//! One call of the plugin, from the environment to the exit status: which verb it is, whether it may be answered, and
//! what is printed. The order of the checks is the reference's: environment, stdin, JSON and name, verb, version.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::BorrowedFd;
use serde_json::Value;

use crate::clock::Instant;
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

/// What a call comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What belongs on stdout, if anything does.
    pub document: Option<Value>,
    /// Whether the exit status is 0.
    pub success: bool,
}

/// The process's standard streams.
#[derive(Clone, Copy, Debug)]
pub struct Streams<'a> {
    /// stdin: the configuration.
    pub input: BorrowedFd<'a>,
    /// stdout: the answer, and nothing else.
    pub output: BorrowedFd<'a>,
    /// stderr: what people may want to know.
    pub errors: BorrowedFd<'a>,
}

/// Answers the call that the environment and stdin describe, by at most one JSON document on stdout; whether it was a
/// success.
pub fn run(lookup: impl Fn(&str) -> Option<Vec<u8>>, streams: Streams<'_>) -> bool {
    let started = Instant::now();
    if lookup("CNI_COMMAND").is_none_or(|command| command.is_empty()) {
        introduce(streams.errors);
    }
    let input = |verb: &Verb| match verb {
        Verb::Version => Ok(stdin::glance(streams.input)),
        verb => stdin::read(streams.input, started + verb.limit()),
    };
    let mut notes = Vec::new();
    let answer = answer(started, lookup, input, |call| act(call, &mut notes));
    for note in notes {
        error::note(streams.errors, &note);
    }
    let document = answer.document.as_ref();
    let printed = document.map_or(Ok(()), |document| error::print(streams.output, document));
    // A result that nobody received is no success.
    answer.success && printed.is_ok()
}

/// Judges a call, has `act` carry it out, and puts what came of it in words.
pub(crate) fn answer(
    started: Instant,
    lookup: impl Fn(&str) -> Option<Vec<u8>>,
    input: impl FnOnce(&Verb) -> Result<Vec<u8>, Error>,
    act: impl FnOnce(&Call) -> Result<Option<Value>, Error>,
) -> Answer {
    let mut version = None;
    let result = perform(started, &lookup, input, act, &mut version);
    let success = result.is_ok();
    // DEL's errors have words to avoid, whatever check or daemon they come from.
    let is_del = lookup("CNI_COMMAND").is_some_and(|command| command == b"DEL");
    let document = result.unwrap_or_else(|failure| {
        let failure = if is_del { failure.for_del() } else { failure };
        Some(failure.to_json(version.map(Version::as_str)))
    });
    Answer { document, success }
}

/// Checks a call and has it carried out. `version` is set as soon as it is known, since errors carry it.
fn perform(
    started: Instant,
    lookup: impl Fn(&str) -> Option<Vec<u8>>,
    input: impl FnOnce(&Verb) -> Result<Vec<u8>, Error>,
    act: impl FnOnce(&Call) -> Result<Option<Value>, Error>,
    version: &mut Option<Version>,
) -> Result<Option<Value>, Error> {
    let environment = Environment::read(lookup)?;
    let input = input(&environment.verb)?;
    if environment.verb == Verb::Version {
        return Ok(Some(version::answer(&input)));
    }
    let config = Config::parse(&input)?;
    *version = Version::named(config.version());
    let network = config.name()?.to_owned();
    if matches!(environment.verb, Verb::Unknown(_)) {
        return Err(unknown(&environment.verb));
    }
    let version = Version::negotiate(config.version(), &environment.verb)?;
    let id = AttachmentId {
        network,
        container_id: environment.container_id.clone(),
        ifname: environment.ifname.clone(),
    };
    let deadline = started + environment.verb.limit();
    act(&Call {
        environment,
        config,
        id,
        version,
        deadline,
    })
}

/// Carries out a call that passed the checks; `notes` gets what is odd and fails nothing.
fn act(call: &Call, notes: &mut Vec<String>) -> Result<Option<Value>, Error> {
    match &call.environment.verb {
        Verb::Add => add::add(call),
        Verb::Del => del::del(call, notes),
        Verb::Check => check::check(call),
        Verb::Gc => gc::gc(call),
        Verb::Status => status::status(call),
        verb @ (Verb::Version | Verb::Unknown(_)) => Err(unknown(verb)),
    }
}

/// The refusal of a verb that nothing carries out.
pub(crate) fn unknown(verb: &Verb) -> Error {
    Error::new(code::ENVIRONMENT, format!("unknown CNI_COMMAND: {verb}"))
}

/// For people who start the plugin by hand; the runtime reads stdout.
fn introduce(errors: BorrowedFd<'_>) {
    let versions = Version::ALL.map(Version::as_str).join(", ");
    let release = env!("CARGO_PKG_VERSION");
    let said = format!("{PLUGIN_MARK} {release}; CNI protocol versions: {versions}");
    error::note(errors, &said);
}
