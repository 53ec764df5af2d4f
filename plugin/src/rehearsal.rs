//! A call without the world: what it would ask of the daemon and what it would print, given its environment, its stdin
//! and the bytes of the daemon's reply. All that judges and answers is the plugin's own; what is left out is the pod's
//! namespace, the socket and the tombstone. For those who try the plugin with more than a process each allows.

use alloc::vec::Vec;

use crate::call::{self, Answer, Call, unknown};
use crate::client;
use crate::clock::Instant;
use crate::contract::{Ask, Outcome};
use crate::env::Verb;
use crate::error::Error;
use crate::{add, check, del, gc, status};

/// What a call would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// What it asks of the daemon, if it comes to that.
    pub asked: Option<Ask>,
    /// What it answers the runtime.
    pub answer: Answer,
}

/// Goes through the call that `lookup` (the environment) and `stdin` describe. `reply` is the JSON with which the daemon
/// answers what it is asked.
pub fn rehearse(
    lookup: impl Fn(&str) -> Option<Vec<u8>>,
    stdin: &[u8],
    reply: impl FnOnce(&Ask) -> Vec<u8>,
) -> Rehearsal {
    let mut asked = None;
    let input = |_: &Verb| Ok(stdin.to_vec());
    let answer = call::answer(Instant::now(), lookup, input, |call| {
        let ask = asked.insert(request(call)?);
        conclude(call, client::outcome(&reply(ask))?)
    });
    Rehearsal { asked, answer }
}

fn request(call: &Call) -> Result<Ask, Error> {
    match &call.environment.verb {
        Verb::Add => add::request(call),
        Verb::Del => del::request(call).map(Ask::Del),
        Verb::Check => check::request(call),
        Verb::Gc => gc::request(call),
        Verb::Status => status::request(call),
        verb @ (Verb::Version | Verb::Unknown(_)) => Err(unknown(verb)),
    }
}

fn conclude(call: &Call, outcome: Outcome) -> Result<Option<serde_json::Value>, Error> {
    match &call.environment.verb {
        Verb::Add => add::conclude(call, outcome),
        Verb::Del => del::conclude(outcome),
        Verb::Check => check::conclude(outcome),
        Verb::Gc => gc::conclude(outcome),
        Verb::Status => status::conclude(outcome),
        verb @ (Verb::Version | Verb::Unknown(_)) => Err(unknown(verb)),
    }
}
