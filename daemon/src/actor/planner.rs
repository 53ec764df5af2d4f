//! Runs the core's plan: starts its actions, each durable before it is performed, and feeds the outcomes back.

use std::collections::BTreeMap;

use ipam::ownership::{DESCRIPTION_PREFIX, INSTANCE_TAG};
use ipam::{Action, AddressMode, EniId, Event, IntentId, Outcome, View};
use tracing::{info, warn};

use super::effects::{self, Call, Effect};
use super::{Actor, translate};

/// Tag with the time of creation, which aws-node's sweep reads before it deletes an available ENI.
const CREATED_AT_TAG: &str = "node.k8s.amazonaws.com/createdAt";

impl Actor {
    /// Asks the core what to do and begins it. Nothing is begun once the daemon stops, or before it knows its node.
    pub(super) fn plan(&mut self) {
        // A deadline that has passed and means nothing any more would wake the actor without end.
        self.wake_at = None;
        if self.stopping.is_some() || !self.recovery.done {
            return;
        }
        let token_seed = format!("{}-{}", self.token_seed, self.ports.clock.wall().as_secs());
        let Some(view) = self.view(&token_seed) else {
            return;
        };
        let plan = ipam::plan(&view, self.now());
        let concerned = plan.concerned;
        self.concerned
            .send_if_modified(|told| std::mem::replace(told, concerned) != concerned);
        self.wake_at = plan.wake_at;
        self.reasons = plan.reasons;
        self.beside = plan.beside;
        self.history = plan.history;
        for (id, action) in plan.actions {
            self.begin_action(id, action);
        }
    }

    /// All that a plan depends on; `None` while the node does not know itself.
    pub(super) fn view<'a>(&'a self, token_seed: &'a str) -> Option<View<'a>> {
        Some(View {
            pool: &self.pool,
            limits: self.facts.as_ref()?.limits(),
            settings: &self.settings.pool,
            demand: self.demand(),
            subnet: self.subnet,
            history: &self.history,
            token_seed,
        })
    }

    fn begin_action(&mut self, id: IntentId, action: Action) {
        let now = self.now();
        if !self.note(Event::Started {
            id,
            action: action.clone(),
            now,
        }) {
            return;
        }
        info!(id = id.0, action = %action, "pool action");
        if let Action::Connect { eni } = &action {
            let Some(mac) = self.pool.eni(eni).map(|eni| eni.mac) else {
                return;
            };
            return self.run_effect(effects::link_up(self.ports.clone(), id, eni.clone(), mac));
        }
        let (Some(facts), Some(call)) = (self.facts.clone(), self.call_of(&action)) else {
            let failure = translate::local(format!("{action}: not attached"));
            return self.performed(id, Outcome::Failed(failure));
        };
        let seq = action.is_durable().then(|| self.changed());
        // Rules and routes of an ENI go before its link does, and a prefix is refused here no more before it is anyone's.
        let draining = leaves_layout(&action).then(|| self.without_leaving());
        let (ports, durable) = (self.ports.clone(), self.store.durable());
        self.run_effect(async move {
            if let Some(seq) = seq
                && let Err(error) = effects::durable(durable, seq).await
            {
                let message = format!("intent not durable: {error}");
                return Effect::Performed {
                    id,
                    outcome: Outcome::Failed(translate::local(message)),
                };
            }
            if let Some(laid_out) = draining {
                let _ = laid_out.await;
            }
            Effect::Performed {
                id,
                outcome: effects::call(&ports, &facts, call).await,
            }
        });
    }

    /// The call an action stands for; `None` if it needs an attachment that is not there.
    fn call_of(&self, action: &Action) -> Option<Call> {
        let facts = self.facts.as_ref()?;
        let attachment = |eni: &EniId| self.pool.eni(eni).and_then(|eni| eni.attachment_id.clone());
        Some(match action {
            Action::Create {
                token, mode, count, ..
            } => Call::Create(self.create(token, *mode, *count)?),
            Action::Attach { eni, device_index } => Call::Attach {
                eni: eni.0.clone(),
                instance: facts.instance_id.clone(),
                device_index: *device_index,
            },
            Action::Protect { eni } => Call::Protect {
                eni: eni.0.clone(),
                attachment: attachment(eni)?,
            },
            Action::Assign { eni, mode, count } => Call::Assign {
                eni: eni.0.clone(),
                mode: *mode,
                count: *count,
            },
            Action::Unassign {
                eni,
                addresses,
                prefixes,
            } => Call::Unassign {
                eni: eni.0.clone(),
                addresses: addresses.clone(),
                prefixes: prefixes.clone(),
            },
            Action::Detach { eni } => Call::Detach {
                attachment: attachment(eni)?,
            },
            Action::Delete { eni } => Call::Delete { eni: eni.0.clone() },
            Action::Describe => Call::Describe(self.settings.claims),
            Action::Connect { .. } => return None,
        })
    }

    /// A new ENI in the primary's likeness. The same token always gives the same request, or EC2 would call the repeat
    /// a mismatch: so the time of creation is the one in the token.
    fn create(
        &self,
        token: &str,
        mode: AddressMode,
        count: u32,
    ) -> Option<ec2::CreateNetworkInterface> {
        let facts = self.facts.as_ref()?;
        let decided: u64 = token.rsplit('-').nth(1)?.parse().ok()?;
        let created = std::time::UNIX_EPOCH + std::time::Duration::from_secs(decided);
        let mut tags: BTreeMap<String, String> = self.settings.additional_eni_tags.clone();
        tags.insert(INSTANCE_TAG.to_owned(), facts.instance_id.clone());
        tags.insert(
            CREATED_AT_TAG.to_owned(),
            humantime::format_rfc3339_seconds(created).to_string(),
        );
        if let Some(cluster) = &self.settings.cluster_name {
            tags.insert("cluster.k8s.amazonaws.com/name".to_owned(), cluster.clone());
            tags.insert("eks:eni:owner".to_owned(), "amazon-vpc-cni".to_owned());
        }
        let prefixes = mode == AddressMode::Prefix;
        Some(ec2::CreateNetworkInterface {
            subnet_id: facts.primary.subnet_id.clone(),
            security_groups: facts.primary.security_groups.clone(),
            description: format!("{DESCRIPTION_PREFIX}{}", facts.instance_id),
            tags,
            secondary_addresses: if prefixes { 0 } else { count },
            prefixes: if prefixes { count } else { 0 },
            client_token: token.to_owned(),
        })
    }

    pub(super) fn performed(&mut self, id: IntentId, outcome: Outcome) {
        let action = self
            .pool
            .intents()
            .find(|(other, _)| *other == id)
            .map(|(_, i)| i.action.to_string());
        let action = action.unwrap_or_default();
        match &outcome {
            Outcome::Failed(failure) => {
                warn!(id = id.0, %action, kind = ?failure.kind, error = %failure.message, "pool action failed");
            }
            _ => info!(id = id.0, %action, "pool action done"),
        }
        let now = self.now();
        self.note_groups(&outcome);
        self.note(Event::Finished { id, outcome, now });
        self.changed();
        // What a Describe tells may name the ENIs of lost pods, or complete the layout.
        if self.recovery.lost {
            self.retry(effects::Retry::Observe);
        } else if !self.laid_out {
            self.retry(effects::Retry::LayOut);
        } else if self.prefixes_differ() {
            self.lay_out();
        }
    }
}

/// Whether what an action gives away stands in the node's layout.
fn leaves_layout(action: &Action) -> bool {
    match action {
        Action::Detach { .. } => true,
        Action::Unassign { prefixes, .. } => !prefixes.is_empty(),
        _ => false,
    }
}
