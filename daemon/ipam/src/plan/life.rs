//! The next step of every ENI that is on its way in or out, and of every Create in doubt.

use super::Planner;
use crate::action::{Action, Verb};
use crate::eni::{Eni, EniState, Ownership};
use crate::reason::Reason;

impl Planner<'_> {
    pub(super) fn live(&mut self) {
        self.repeat_creates();
        for eni in self
            .pool()
            .enis()
            .filter(|eni| eni.ownership == Ownership::Ours)
        {
            self.step(eni);
        }
    }

    /// A Create in doubt is repeated with its token, which makes one ENI however often it is asked.
    fn repeat_creates(&mut self) {
        let doubtful: Vec<_> = self
            .pool()
            .intents()
            .filter(|(_, i)| i.doubtful.is_some() && i.action.verb() == Verb::Create)
            .map(|(id, i)| (id, i.action.clone()))
            .collect();
        for (id, action) in doubtful {
            if !self.is_blocked(&action) {
                self.plan.actions.push((id, action));
            }
        }
    }

    fn step(&mut self, eni: &Eni) {
        let id = eni.id.clone();
        match eni.state {
            EniState::Created => {
                // Its place may have been taken since it was made.
                let taken = self
                    .pool()
                    .enis()
                    .any(|other| other.id != eni.id && other.device_index == eni.device_index);
                let place = taken.then(|| self.free_device_index()).flatten();
                let device_index = place.unwrap_or(eni.device_index);
                self.once(Action::Attach {
                    eni: id,
                    device_index,
                });
            }
            EniState::Attaching { since } => {
                self.protect(eni);
                if let Some(reason) = self.link_missing(eni) {
                    self.because(reason);
                }
                self.once(Action::Connect { eni: id });
                self.because(Reason::Attaching { since });
            }
            EniState::Ready { .. } => self.protect(eni),
            // Calls about it that are still under way would meet an ENI that is gone, and their answers nobody.
            EniState::Draining if self.is_idle(&id) => {
                self.act(Action::Detach { eni: id });
            }
            EniState::Detached if self.is_idle(&id) => {
                self.act(Action::Delete { eni: id });
            }
            EniState::Draining | EniState::Detached => {}
        }
    }

    /// Delete-on-termination, as soon as the ENI is attached; next to setting it up.
    fn protect(&mut self, eni: &Eni) {
        if !eni.delete_on_termination && eni.attachment_id.is_some() {
            self.once(Action::Protect {
                eni: eni.id.clone(),
            });
        }
    }

    /// Adds an action unless the same is under way for this ENI.
    fn once(&mut self, action: Action) {
        let busy = action
            .eni()
            .is_some_and(|eni| self.busy(eni, action.verb()));
        if !busy {
            self.act(action);
        }
    }
}
