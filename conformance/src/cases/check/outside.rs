//! What ADD made besides the interface and what is on it: CHECK should miss that too.

use serde_json::Value;

use super::parts::own_addresses;
use crate::case::{Finding, Verdict, skip, with, wrong};
use crate::netns::Netns;
use crate::pod::{self, Pod};
use crate::world::World;

/// One thing, and the namespace that it is in.
struct Thing<'a> {
    place: &'a Netns,
    kind: Kind,
}

enum Kind {
    /// A link, by its name.
    Link(String),
    /// A rule of a family (`-4`), in `ip`'s words.
    Rule(&'static str, Vec<String>),
}

/// One at a time, each of another attachment: the links on the host that the result lists, and the rules that name one of
/// them or one of its addresses.
pub(super) fn its_own_gone(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    for at in 0.. {
        let result = world.add()?;
        let mut things = things(world, &pod, &result)?;
        let count = things.len();
        if count == 0 {
            return skip("it lists no link on the host, and there is no rule for its addresses");
        }
        let check = world.call_after("CHECK", &result)?;
        world.run(&check)?.silent()?;
        let thing = things.swap_remove(at);
        let aside = thing.take_away()?;
        let answer = world.run(&check)?;
        if answer.succeeded() && !thing.is_there()? {
            let what = thing.name();
            return wrong(format!("{what} is gone: {}", answer.quote()));
        } else if !answer.succeeded() {
            with(&thing.name(), answer.failure())?;
        }
        if let Some(aside) = aside {
            thing.bring_back(&aside);
        }
        world.del(&result)?;
        if at + 1 == count {
            break;
        }
    }
    Ok(())
}

fn things<'a>(
    world: &'a World<'_>,
    pod: &'a Pod,
    result: &Value,
) -> Result<Vec<Thing<'a>>, Finding> {
    let links = own_links(result, pod);
    let addresses = own_addresses(result, pod);
    let alone = addresses
        .iter()
        .filter_map(|address| address.split('/').next());
    let words: Vec<&str> = alone.chain(links.iter().map(String::as_str)).collect();
    let mut things: Vec<Thing<'_>> = Vec::new();
    for place in [world.host(), &pod.netns] {
        for family in ["-4", "-6"] {
            let rules = rules(place, family)?.into_iter();
            let its = rules.filter(|rule| rule.iter().any(|word| words.contains(&word.as_str())));
            let kinds = its.map(|rule| Kind::Rule(family, rule));
            things.extend(kinds.map(|kind| Thing { place, kind }));
        }
    }
    let links = links.into_iter().map(Kind::Link);
    let place = world.host();
    things.extend(links.map(|kind| Thing { place, kind }));
    Ok(things)
}

/// The links on the host that `result` lists more than the plugins' before it.
fn own_links(result: &Value, pod: &Pod) -> Vec<String> {
    let names = |result: Option<&Value>| -> Vec<String> {
        let listed = result.and_then(|result| result["interfaces"].as_array());
        let is_on_host =
            |interface: &&Value| interface["sandbox"].as_str().is_none_or(str::is_empty);
        let on_host = listed.into_iter().flatten().filter(is_on_host);
        let names = on_host.filter_map(|interface| interface["name"].as_str());
        names.map(str::to_owned).collect()
    };
    let foreign = names(pod.previous.as_ref());
    let mut own = names(Some(result));
    own.retain(|name| !foreign.contains(name));
    own
}

/// What tells each rule from others, as `ip rule del` takes it.
fn rules(netns: &Netns, family: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let shown: Vec<Value> = serde_json::from_str(&netns.ip(&[family, "-j", "rule"])?)?;
    Ok(shown.iter().map(words).collect())
}

fn words(rule: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let keys = [
        ("priority", "priority"),
        ("src", "from"),
        ("dst", "to"),
        ("iif", "iif"),
        ("oif", "oif"),
        ("table", "table"),
    ];
    let set = keys.iter().filter(|(key, _)| rule.get(key).is_some());
    set.flat_map(|(key, word)| {
        let length = rule.get(format!("{key}len"));
        let length = length.map(|length| format!("/{length}"));
        [
            (*word).to_owned(),
            text(&rule[key]) + &length.unwrap_or_default(),
        ]
    })
    .collect()
}

impl Thing<'_> {
    fn name(&self) -> String {
        match &self.kind {
            Kind::Link(name) => format!("link {name}"),
            Kind::Rule(_, words) => format!("rule {}", words.join(" ")),
        }
    }

    fn is_there(&self) -> anyhow::Result<bool> {
        Ok(match &self.kind {
            Kind::Link(name) => self.place.ip(&["link", "show", "dev", name]).is_ok(),
            Kind::Rule(family, words) => rules(self.place, family)?.contains(words),
        })
    }

    /// A link goes to the namespace that is returned, and its other end stays where it is; what cannot go is deleted.
    fn take_away(&self) -> anyhow::Result<Option<Netns>> {
        match &self.kind {
            Kind::Rule(family, words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                self.place
                    .ip(&[&[family, "rule", "del"], &words[..]].concat())?;
                Ok(None)
            }
            Kind::Link(name) => {
                let aside = Netns::unique(pod::LABEL)?;
                let to = ["link", "set", "dev", name, "netns", aside.name()];
                if self.place.ip(&to).is_ok() {
                    return Ok(Some(aside));
                }
                self.place.ip(&["link", "del", "dev", name])?;
                Ok(None)
            }
        }
    }

    /// So that DEL finds a link; there may be another one by now.
    fn bring_back(&self, aside: &Netns) {
        if let Kind::Link(name) = &self.kind {
            let host = self.place.path().to_string_lossy();
            let _ = aside.ip(&["link", "set", "dev", name, "netns", &host]);
        }
    }
}
