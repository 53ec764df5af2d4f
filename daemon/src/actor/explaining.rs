//! What `berthd explain` is told from: a copy of the actor's state with the names of the pods that have no address.

use ipam::{Address, AddressState, AttachmentKey, Event};

use super::Actor;
use crate::explanation::{Asking, Scene};

impl Actor {
    /// The state at this moment; `None` while the node does not know itself.
    pub(super) fn scene(&self) -> Option<Scene> {
        let facts = self.facts.clone()?;
        Some(Scene {
            facts,
            pool: self.pool.clone(),
            history: self.history.clone(),
            settings: self.settings.pool.clone(),
            demand: self.demand(),
            subnet: self.subnet,
            asking: self.asking(),
            waits_for: self.waits_for(),
            former: self.former.clone(),
            now: self.now(),
            wall: self.ports.clock.wall(),
        })
    }

    /// The pods of the demand: those that wait, those that gave up and will come again, those that are bound.
    fn asking(&self) -> Vec<Asking> {
        let waiting = self.waiting_anew().map(|job| Asking {
            pod: job.pod(),
            state: "waiting",
            since: Some(job.arrived),
            until: Some(job.deadline),
        });
        let gave_up = self.gave_up.until().map(|(pod, until)| Asking {
            pod: pod.clone(),
            state: "gave-up",
            since: None,
            until: Some(until),
        });
        let bound = self.bound.expected().iter().map(|name| Asking {
            pod: format!("{}/{}", name.namespace, name.name),
            state: "bound",
            since: None,
            until: None,
        });
        waiting.chain(gave_up).chain(bound).collect()
    }

    /// An attachment goes; its address rests, and for as long it is remembered whose it was.
    pub(super) fn let_rest(&mut self, key: AttachmentKey) {
        let pool = &self.pool;
        self.former
            .retain(|ip, _| pool.address(*ip).is_some_and(rests));
        if let Some(gone) = pool.attachment(&key) {
            let pod = gone.pod.as_ref();
            let named = pod.map(|pod| format!("{}/{}", pod.namespace, pod.name));
            let who = named.unwrap_or_else(|| gone.key.container_id.clone());
            self.former.insert(gone.address, who);
        }
        let until = self.now().after(self.settings.pool.cooldown);
        self.note(Event::Released { key, until });
    }
}

fn rests(address: &Address) -> bool {
    matches!(address.state, AddressState::Cooling { .. })
}
