//! Everything the actor does to the world: each effect is a future over the ports that ends in an [`Effect`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use berth_cni::contract::{self, CheckRequest};
use ec2::{CreateNetworkInterface, Describe, Ec2, Ec2Error, InstanceLimits, Metadata};
use ipam::action::Described;
use ipam::ownership::{Claims, INSTANCE_TAG};
use ipam::{AddressMode, AttachmentKey, EniId, Failure, FailureKind, IntentId, Outcome};
use tokio::sync::{oneshot, watch};

use super::gc::GcJob;
use super::layout::Applying;
use super::split::Split;
use super::sweep::Look;
use super::translate;
use crate::clock::Clock;
use crate::dataplane::{
    Changes, Dataplane, DataplaneError, ObservedPod, Parts, PodLinks, PodRemoval, Unfinished,
};
use crate::node::NodeFacts;
use crate::sandboxes::{CacheError, Sandboxes};
use crate::store::Durable;

/// The world, as far as the actor touches it.
#[derive(Clone)]
pub struct Ports {
    /// EC2.
    pub ec2: Arc<dyn Ec2>,
    /// Instance metadata.
    pub metadata: Arc<dyn Metadata>,
    /// The kernel.
    pub dataplane: Arc<dyn Dataplane>,
    /// The runtime's files.
    pub sandboxes: Arc<dyn Sandboxes>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// What an effect ends in.
pub(super) enum Effect {
    /// The links of an ADD stand, and its allocation is durable; or not.
    Wired {
        key: AttachmentKey,
        links: Result<PodLinks, DataplaneError>,
        stored: Result<(), String>,
        split: Split,
    },
    /// The links of an ADD that failed are gone, or could not be removed.
    Undone {
        key: AttachmentKey,
        removed: bool,
        failure: Option<contract::Outcome>,
    },
    /// The links of a DEL are gone, and that it leaves is durable; or not. The pool knows it as `known`.
    Unwired {
        key: AttachmentKey,
        known: AttachmentKey,
        removed: Result<(), DataplaneError>,
        stored: Result<(), String>,
        split: Split,
    },
    /// An attachment was compared with what stands.
    Checked {
        request: CheckRequest,
        reply: oneshot::Sender<contract::Outcome>,
        outcome: contract::Outcome,
    },
    /// The runtime's cache was read for a GC.
    CacheRead {
        job: GcJob,
        results: Result<Vec<String>, CacheError>,
    },
    /// What the DELs of a GC ended in, by attachment.
    Collected {
        job: GcJob,
        outcomes: Vec<(String, contract::Outcome)>,
    },
    /// Attachments were looked for whose link and namespace are gone.
    Looked(Result<Look, DataplaneError>),
    /// The link of an ENI is there.
    LinkUp {
        id: IntentId,
        eni: EniId,
        result: Result<(), Failure>,
    },
    /// The node's layout stands, or not.
    NodeApplied {
        applied: Applying,
        result: Result<Changes, Unfinished>,
    },
    /// The kernel told of changes, or will not any more.
    Doubted(Result<Parts, DataplaneError>),
    /// It is time to compare whatever was told.
    TimeToCompare,
    /// The host ends of pods are as they should be, or not.
    PodsCompared(Result<Changes, Unfinished>),
    /// An action ended.
    Performed { id: IntentId, outcome: Outcome },
    /// Instance metadata and the type's limits, or why not.
    Identified(Result<Identified, String>),
    /// The same once more, since some of it may change.
    Refreshed(Result<Identified, String>),
    /// These security groups were set on ENIs, or not.
    Regrouped {
        groups: Vec<String>,
        results: Vec<(EniId, Result<(), Ec2Error>)>,
    },
    /// Links that no state named are gone, or one of them could not be removed.
    Swept { clean: bool },
    /// The pods that the kernel has now.
    Observed(Result<Vec<ObservedPod>, DataplaneError>),
    /// Something at start-up is to be tried again.
    Retry(Retry),
}

/// Who we are.
pub(super) struct Identified {
    /// The node.
    pub facts: NodeFacts,
    /// The attached ENIs by device index, as metadata lists them.
    pub attached: BTreeMap<u32, EniId>,
}

/// What is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Retry {
    Identify,
    Observe,
    LayOut,
}

/// How long the link of an attached ENI may take to appear: EC2's attach takes seconds (2 to 10 is usual), so half a
/// minute without it is a fault. The action fails then, is tried again, and the ENI is not counted on meanwhile.
const LINK_WITHIN: Duration = Duration::from_secs(30);

/// Waits until the state with this sequence number is on disk.
///
/// # Errors
/// Why it is not, when its write failed.
pub(super) async fn durable(mut store: watch::Receiver<Durable>, seq: u64) -> Result<(), String> {
    loop {
        {
            let state = store.borrow_and_update();
            if state.seq >= seq {
                return Ok(());
            }
            if let Some((_, why)) = state.failed.as_ref().filter(|(failed, _)| *failed >= seq) {
                return Err(why.clone());
            }
        }
        if store.changed().await.is_err() {
            return Err("the store has stopped".to_owned());
        }
    }
}

/// Waits for the link of an ENI.
pub(super) async fn link_up(ports: Ports, id: IntentId, eni: EniId, mac: ipam::Mac) -> Effect {
    let result = match tokio::time::timeout(LINK_WITHIN, ports.dataplane.wait_link(mac)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(translate::unlinked(&error)),
        Err(_) => Err(Failure {
            kind: FailureKind::NoLink,
            message: format!(
                "no link with MAC {mac} appeared within {} s",
                LINK_WITHIN.as_secs()
            ),
        }),
    };
    Effect::LinkUp { id, eni, result }
}

/// Makes the node look as desired.
pub(super) async fn apply_node(ports: Ports, applying: Applying) -> Effect {
    let (desired, parts) = (&applying.desired, applying.parts);
    let result = ports.dataplane.mend_node(desired, parts).await;
    Effect::NodeApplied {
        applied: applying,
        result,
    }
}

/// Asks metadata who we are, and EC2 (or the built-in table) what that allows. The limits of a type do not change: those
/// of a `known` node of the same type are not asked for again.
pub(super) async fn identify(ports: Ports, known: Option<NodeFacts>) -> Effect {
    Effect::Identified(identified(&ports, known).await)
}

/// See [`identify`].
pub(super) async fn identified(
    ports: &Ports,
    known: Option<NodeFacts>,
) -> Result<Identified, String> {
    let identity = ports.metadata.identity().await.map_err(|e| e.to_string())?;
    let interfaces = ports
        .metadata
        .interfaces()
        .await
        .map_err(|e| e.to_string())?;
    let attached = interfaces
        .iter()
        .filter(|eni| eni.network_card == 0)
        .map(|eni| (eni.device_index, EniId(eni.id.clone())))
        .collect();
    let limits = match known.filter(|known| known.instance_type == identity.instance_type) {
        Some(known) => known.instance_limits(),
        None => limits_of(ports, &identity.instance_type).await?,
    };
    let facts = NodeFacts::new(identity, &interfaces, limits).map_err(|e| e.to_string())?;
    Ok(Identified { facts, attached })
}

async fn limits_of(ports: &Ports, instance_type: &str) -> Result<InstanceLimits, String> {
    match ports.ec2.describe_instance_type(instance_type).await {
        Ok(limits) => Ok(limits),
        Err(error) => ec2::limits::built_in(instance_type).ok_or_else(|| {
            format!("limits of {instance_type} are not in the built-in table: {error}")
        }),
    }
}

/// Removes links of pods that no state names.
pub(super) async fn sweep(ports: Ports, leftovers: Vec<PodRemoval>) -> Effect {
    let mut clean = true;
    for removal in leftovers {
        if let Err(error) = ports.dataplane.remove_pod(&removal, None).await {
            tracing::warn!(alias = %removal.alias, %error, "leftover link not removed");
            clean = false;
        }
    }
    Effect::Swept { clean }
}

/// The calls to EC2, each once.
pub(super) enum Call {
    Create(CreateNetworkInterface),
    Attach {
        eni: String,
        instance: String,
        device_index: u32,
    },
    Protect {
        eni: String,
        attachment: String,
    },
    Assign {
        eni: String,
        mode: AddressMode,
        count: u32,
    },
    Unassign {
        eni: String,
        addresses: Vec<std::net::Ipv4Addr>,
        prefixes: Vec<ipnet::Ipv4Net>,
    },
    Detach {
        attachment: String,
    },
    Delete {
        eni: String,
    },
    Describe(Claims),
}

/// Performs a call; `facts` is who we are.
pub(super) async fn call(ports: &Ports, facts: &NodeFacts, call: Call) -> Outcome {
    let outcome = match call {
        Call::Create(request) => ports
            .ec2
            .create_network_interface(&request)
            .await
            .and_then(|eni| translate::created(&eni, facts)),
        Call::Attach {
            eni,
            instance,
            device_index,
        } => ports
            .ec2
            .attach_network_interface(&eni, &instance, device_index)
            .await
            .map(|attachment_id| Outcome::Attached { attachment_id }),
        Call::Protect { eni, attachment } => ports
            .ec2
            .set_delete_on_termination(&eni, &attachment)
            .await
            .map(|()| Outcome::Done),
        Call::Assign { eni, mode, count } => assign(ports, &eni, mode, count).await,
        Call::Unassign {
            eni,
            addresses,
            prefixes,
        } => ports
            .ec2
            .unassign_private_ip_addresses(&eni, &addresses, &prefixes)
            .await
            .map(|()| Outcome::Done),
        Call::Detach { attachment } => ports
            .ec2
            .detach_network_interface(&attachment)
            .await
            .map(|()| Outcome::Done),
        Call::Delete { eni } => ports
            .ec2
            .delete_network_interface(&eni)
            .await
            .map(|()| Outcome::Done),
        Call::Describe(claims) => return describe(ports, facts, claims).await,
    };
    outcome.unwrap_or_else(|error| Outcome::Failed(translate::failure(&error)))
}

async fn assign(
    ports: &Ports,
    eni: &str,
    mode: AddressMode,
    count: u32,
) -> Result<Outcome, Ec2Error> {
    let (addresses, prefixes) = match mode {
        AddressMode::Secondary => {
            let given = ports.ec2.assign_private_ip_addresses(eni, count).await?;
            (given, Vec::new())
        }
        AddressMode::Prefix => {
            let given = ports.ec2.assign_ipv4_prefixes(eni, count).await?;
            (Vec::new(), given)
        }
    };
    Ok(Outcome::Assigned {
        addresses,
        prefixes,
    })
}

async fn describe(ports: &Ports, facts: &NodeFacts, claims: Claims) -> Outcome {
    let attached = Describe::AttachedTo(facts.instance_id.clone());
    let leftover = Describe::AvailableWithTag {
        key: INSTANCE_TAG.to_owned(),
        value: facts.instance_id.clone(),
    };
    let mut shown = match ports.ec2.describe_network_interfaces(&attached).await {
        Ok(shown) => shown,
        Err(error) => return Outcome::Failed(translate::failure(&error)),
    };
    match ports.ec2.describe_network_interfaces(&leftover).await {
        Ok(available) => shown.extend(available),
        Err(error) => return Outcome::Failed(translate::failure(&error)),
    }
    // Metadata only adds the subnets of ENIs that others attached; without it those are met the next time.
    let subnets: BTreeMap<String, ipnet::Ipv4Net> = match ports.metadata.interfaces().await {
        Ok(interfaces) => interfaces
            .into_iter()
            .filter_map(|eni| Some((eni.id, eni.subnet_cidr?)))
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "subnets of attached ENIs unknown");
            BTreeMap::new()
        }
    };
    let in_use = match ports.dataplane.observe_pods().await {
        Ok(pods) => pods.into_iter().filter_map(|pod| pod.address).collect(),
        Err(error) => return Outcome::Failed(translate::local(error.to_string())),
    };
    match shown
        .iter()
        .map(|eni| translate::described(eni, facts, &subnets))
        .collect()
    {
        Ok(enis) => Outcome::Described(Described {
            enis,
            in_use,
            claims,
        }),
        Err(failure) => Outcome::Failed(failure),
    }
}
