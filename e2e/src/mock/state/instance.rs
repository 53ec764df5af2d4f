//! Instances: launched with a primary ENI, terminated with those ENIs that go with them.

use std::time::SystemTime;

use super::State;
use super::attach::unknown_type;
use super::eni::{AttachmentStatus, CreateEni};
use super::limits::limits_of;
use crate::mock::error::Refusal;

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `i-...`.
    pub id: String,
    /// For example `m5.large`.
    pub instance_type: String,
    /// Subnet of the primary ENI.
    pub subnet_id: String,
    /// False after termination.
    pub running: bool,
    /// When it was launched.
    pub launched: SystemTime,
}

/// What a termination did to the ENIs of the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Termination {
    /// Gone with the instance.
    pub deleted: Vec<String>,
    /// Left behind as `available`.
    pub left: Vec<String>,
}

impl State {
    /// Launches an instance with a primary ENI that is attached at once, and answers its id (RunInstances).
    /// Without a subnet it goes into the first.
    pub fn launch(
        &mut self,
        instance_type: &str,
        subnet: Option<&str>,
        now: SystemTime,
    ) -> Result<String, Refusal> {
        limits_of(instance_type).ok_or_else(|| unknown_type(instance_type))?;
        let subnet_id = subnet.unwrap_or(&self.first_subnet);
        let subnet_id = self.subnet(subnet_id)?.id.clone();
        let eni = self.create_eni(&CreateEni {
            subnet_id: subnet_id.clone(),
            ..CreateEni::default()
        })?;
        let id = self.seed.id("i");
        self.instances.insert(
            id.clone(),
            Instance {
                id: id.clone(),
                instance_type: instance_type.to_owned(),
                subnet_id,
                running: true,
                launched: now,
            },
        );
        let attachment = self.attach(&eni.id, &id, 0, now)?;
        self.plug(&attachment);
        self.finish_attach(&attachment);
        self.set_delete_on_termination(&eni.id, &attachment, true)?;
        Ok(id)
    }

    /// Ends an instance (TerminateInstances). Its ENIs are deleted or left `available`, as delete-on-termination says.
    pub fn terminate(&mut self, id: &str) -> Result<Termination, Refusal> {
        self.instance(id)?;
        if let Some(instance) = self.instances.get_mut(id) {
            instance.running = false;
        }
        let mut done = Termination::default();
        let fates: Vec<(String, bool)> = self
            .enis_of(id)
            .iter()
            .filter_map(|e| Some((e.id.clone(), e.attachment.as_ref()?.delete_on_termination)))
            .collect();
        for (eni, goes) in fates {
            if goes {
                self.forget_eni(&eni);
                done.deleted.push(eni);
            } else {
                self.eni_mut(&eni)?.attachment = None;
                done.left.push(eni);
            }
        }
        Ok(done)
    }

    /// The lowest device index that is free on an instance.
    pub fn free_device_index(&self, instance: &str) -> u32 {
        let taken: Vec<u32> = self
            .enis_of(instance)
            .iter()
            .filter_map(|e| e.attachment.as_ref().map(|a| a.device_index))
            .collect();
        (0..).find(|i| !taken.contains(i)).unwrap_or(u32::MAX)
    }

    /// Whether any ENI of the instance is still on its way in or out.
    pub fn is_settled(&self, instance: &str) -> bool {
        self.enis_of(instance).iter().all(|e| {
            e.attachment
                .as_ref()
                .is_some_and(|a| a.status == AttachmentStatus::Attached)
        })
    }
}
