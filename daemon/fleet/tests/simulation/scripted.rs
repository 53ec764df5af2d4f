//! A pool that does what a test says, for nodes whose every step is known.

use std::net::Ipv4Addr;
use std::time::Duration;

use fleet::engine::{Broken, Options, run_nodes};
use fleet::node::{Input, Node, Output, PodId};
use fleet::run::Run;
use fleet::scenario::Scenario;
use ipam::{Action, AddressMode, EniId, IntentId, Outcome, Timestamp};

/// A pool that asks for some addresses on its primary ENI when it boots, and then follows its script.
pub struct Scripted<F> {
    asks_for: u32,
    pub primary: Option<EniId>,
    pub addresses: Vec<Ipv4Addr>,
    next: u64,
    script: F,
}

impl<F: FnMut(&mut Script<'_>, Input, Timestamp)> Node for Scripted<F> {
    fn take(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Input::Booted { primary } = &input {
            let eni = primary.id.clone();
            self.primary = Some(eni.clone());
            if self.asks_for > 0 {
                let mode = AddressMode::Secondary;
                let count = self.asks_for;
                outputs.push(self.begin(Action::Assign { eni, mode, count }));
            }
        }
        if let Input::Ended {
            outcome: Outcome::Assigned { addresses, .. },
            ..
        } = &input
        {
            self.addresses.extend(addresses);
        }
        let mut script = Script {
            addresses: &mut self.addresses,
            primary: self.primary.clone(),
            next: &mut self.next,
            outputs,
        };
        (self.script)(&mut script, input, now);
        script.outputs
    }
}

impl<F> Scripted<F> {
    fn begin(&mut self, action: Action) -> Output {
        let id = IntentId(self.next);
        self.next += 1;
        Output::Begin { id, action }
    }
}

/// What a script may use.
pub struct Script<'a> {
    pub addresses: &'a mut Vec<Ipv4Addr>,
    primary: Option<EniId>,
    next: &'a mut u64,
    outputs: Vec<Output>,
}

impl Script<'_> {
    pub fn primary(&self) -> EniId {
        self.primary.clone().expect("a booted node")
    }

    pub fn begin(&mut self, action: Action) {
        let id = IntentId(*self.next);
        *self.next += 1;
        self.outputs.push(Output::Begin { id, action });
    }

    pub fn serve(&mut self, pod: PodId, address: Ipv4Addr) {
        self.outputs.push(Output::Serve { pod, address });
    }

    pub fn refuse(&mut self, pod: PodId) {
        self.outputs.push(Output::Refuse { pod });
    }

    pub fn output(&mut self, output: Output) {
        self.outputs.push(output);
    }
}

/// Runs `scenario` with one script, made anew for each node.
pub fn run<F>(
    scenario: &Scenario,
    cooldown: Option<Duration>,
    asks_for: u32,
    script: impl Fn() -> F,
) -> Result<Run, Broken>
where
    F: FnMut(&mut Script<'_>, Input, Timestamp) + 'static,
{
    let node = |_| -> Box<dyn Node> {
        Box::new(Scripted {
            asks_for,
            primary: None,
            addresses: Vec::new(),
            next: 0,
            script: script(),
        })
    };
    let nodes = (0..scenario.nodes.len()).map(node).collect();
    run_nodes(scenario, "scripted", cooldown, nodes, Options::default())
}
