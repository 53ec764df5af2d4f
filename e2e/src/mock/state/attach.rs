//! Attachments: an ENI goes onto an instance and off it again, in steps that the caller paces.

use std::time::SystemTime;

use super::State;
use super::eni::{Attachment, AttachmentStatus, Eni};
use super::limits::limits_of;
use crate::mock::error::{Code, Refusal};

impl State {
    /// Starts an attachment and answers its id (AttachNetworkInterface). `plug` and `finish_attach` complete it.
    pub fn attach(
        &mut self,
        eni: &str,
        instance: &str,
        device_index: u32,
        now: SystemTime,
    ) -> Result<String, Refusal> {
        self.check_attach(eni, instance, device_index)?;
        let id = self.seed.id("eni-attach");
        self.eni_mut(eni)?.attachment = Some(Attachment {
            id: id.clone(),
            instance_id: instance.to_owned(),
            device_index,
            delete_on_termination: false,
            status: AttachmentStatus::Attaching,
            plugged: false,
            since: now,
        });
        Ok(id)
    }

    /// Everything that EC2 asks before it attaches.
    fn check_attach(&self, eni: &str, instance: &str, device_index: u32) -> Result<(), Refusal> {
        let interface = self.eni(eni)?;
        let machine = self.instance(instance)?;
        if !machine.running {
            return Err(Code::IncorrectState.because(format!(
                "Instance '{instance}' is not 'running' or 'stopped'."
            )));
        }
        if interface.attachment.is_some() {
            return Err(
                Code::InvalidNetworkInterfaceInUse.because(format!("Interface: [{eni}] in use."))
            );
        }
        if self.subnet(&interface.subnet_id)?.zone != self.subnet(&machine.subnet_id)?.zone {
            return Err(Code::InvalidParameterCombination.because(
                "You may not attach a network interface to an instance if they are not in the same availability zone",
            ));
        }
        let others = self.enis_of(instance);
        if others.iter().any(|e| {
            e.attachment
                .as_ref()
                .is_some_and(|a| a.device_index == device_index)
        }) {
            return Err(Code::InvalidParameterValue.because(format!(
                "Instance '{instance}' already has an interface attached at device index '{device_index}'."
            )));
        }
        let kind = &machine.instance_type;
        let limits = limits_of(kind).ok_or_else(|| unknown_type(kind))?;
        let count = others.len().saturating_add(1);
        if count > usize::try_from(limits.enis).unwrap_or(usize::MAX) {
            return Err(Code::AttachmentLimitExceeded.because(format!(
                "Interface count {count} exceeds the limit for {kind}"
            )));
        }
        if interface.slots() > limits.ipv4_per_eni {
            return Err(Code::PrivateIpAddressLimitExceeded
                .because("Number of private addresses will exceed limit."));
        }
        if !interface.prefixes.is_empty() && !limits.takes_prefixes() {
            return Err(Code::UnsupportedOperation.because(format!(
                "Prefixes are not supported on instance type {kind}"
            )));
        }
        Ok(())
    }

    /// The link is in the machine. Does nothing if the attachment is gone or on its way out.
    pub fn plug(&mut self, attachment: &str) {
        if let Some(a) = self.attachment_mut(attachment)
            && a.status != AttachmentStatus::Detaching
        {
            a.plugged = true;
        }
    }

    /// EC2 says `attached` from now on. Does nothing if the attachment is gone or on its way out.
    pub fn finish_attach(&mut self, attachment: &str) {
        if let Some(a) = self.attachment_mut(attachment)
            && a.status == AttachmentStatus::Attaching
        {
            a.status = AttachmentStatus::Attached;
        }
    }

    /// Starts a detachment and answers the ENI's id (DetachNetworkInterface). `unplug` and `finish_detach` complete it.
    pub fn detach(&mut self, attachment: &str) -> Result<String, Refusal> {
        let eni = self.attached(attachment)?.id.clone();
        let Some(a) = self.attachment_mut(attachment) else {
            return Err(no_such_attachment(attachment));
        };
        if a.device_index == 0 {
            return Err(Code::OperationNotPermitted.because(
                "The network interface at device index 0 and networkCard index 0 cannot be detached.",
            ));
        }
        if a.status == AttachmentStatus::Detaching {
            return Err(Code::IncorrectState.because(format!(
                "Network interface '{eni}' is already being detached"
            )));
        }
        a.status = AttachmentStatus::Detaching;
        Ok(eni)
    }

    /// The link leaves the machine.
    pub fn unplug(&mut self, attachment: &str) {
        if let Some(a) = self.attachment_mut(attachment) {
            a.plugged = false;
        }
    }

    /// The ENI is `available` from now on.
    pub fn finish_detach(&mut self, attachment: &str) {
        if let Some(eni) = self
            .enis
            .values_mut()
            .find(|e| e.is_attached_as(attachment))
        {
            eni.attachment = None;
        }
    }

    /// Sets delete-on-termination (ModifyNetworkInterfaceAttribute).
    pub fn set_delete_on_termination(
        &mut self,
        eni: &str,
        attachment: &str,
        value: bool,
    ) -> Result<(), Refusal> {
        self.eni(eni)?;
        if self.attached(attachment)?.id != eni {
            return Err(Code::InvalidParameterCombination.because(format!(
                "Attachment '{attachment}' is not of network interface '{eni}'"
            )));
        }
        if let Some(a) = self.attachment_mut(attachment) {
            a.delete_on_termination = value;
        }
        Ok(())
    }

    /// The ENI with this attachment.
    pub fn attached(&self, attachment: &str) -> Result<&Eni, Refusal> {
        self.enis
            .values()
            .find(|e| e.is_attached_as(attachment))
            .ok_or_else(|| no_such_attachment(attachment))
    }

    fn attachment_mut(&mut self, id: &str) -> Option<&mut Attachment> {
        self.enis
            .values_mut()
            .filter_map(|e| e.attachment.as_mut())
            .find(|a| a.id == id)
    }
}

impl Eni {
    fn is_attached_as(&self, attachment: &str) -> bool {
        self.attachment.as_ref().is_some_and(|a| a.id == attachment)
    }
}

pub(super) fn unknown_type(kind: &str) -> Refusal {
    Code::InvalidInstanceType.because(format!(
        "The following supplied instance types do not exist: [{kind}]"
    ))
}

fn no_such_attachment(id: &str) -> Refusal {
    Code::InvalidAttachmentIdNotFound.because(format!("The attachment '{id}' does not exist"))
}
