//! What no pod waits for: calls that give back or protect. They rest long, say why, and keep no pod from anything.

use anyhow::ensure;
use e2e::cluster::{Cluster, Member};
use e2e::mock::{Fault, FaultKind};

use crate::fixture::{PER_ENI, add_pods, answer, calls, del_pods, eventually, reasons};
use crate::told::{Case, SLOW, status_page};

const MODIFY: &str = "ModifyNetworkInterfaceAttribute";
const DETACH: &str = "DetachNetworkInterface";
const UNASSIGN: &str = "UnassignPrivateIpAddresses";
const DELETE: &str = "DeleteNetworkInterface";
/// Says for which node an ENI was made.
const TAG: &str = "node.k8s.amazonaws.com/instance_id";

/// A fixed level: what is too much goes after a minute (`ipam::policy::Patience`), not after five or fifteen.
const MINUTES: [(&str, &str); 1] = [("WARM_IP_TARGET", "1")];

const fn denied(name: &'static str, action: &'static str, words: &'static str) -> Case {
    Case {
        words,
        remedy: "AmazonEKS_CNI_Policy",
        ..Case::served(name, action, "AccessDenied", "UnauthorizedOperation")
    }
}

/// The status, the log and the metrics say it, and the call is not made again and again.
fn is_told(case: &Case, cluster: &Cluster) -> anyhow::Result<()> {
    let member = &cluster.members[0];
    eventually(case.name, SLOW, || case.status_says(member))?;
    let page = status_page(member)?;
    ensure!(page.contains(case.remedy), "no remedy in\n{page}");
    case.log_says_of_call(member)?;
    case.metrics_say_by_themselves(member)?;
    let action = case.call.map_or("", |(action, _)| action);
    let asked = calls(cluster, action).len();
    // For each of two ENIs before the first denial has come.
    ensure!(asked <= 2, "{action} was asked for {asked} times");
    Ok(())
}

/// Pods come and go as if nothing were.
fn pods_come_and_go(member: &Member) -> anyhow::Result<()> {
    let pods = add_pods(member, "meanwhile", 3)?;
    answer(member, &pods)?;
    del_pods(member, pods)
}

/// An ENI that lies around, and one that would outlive the instance.
#[test]
fn deleting_and_protecting_denied() -> anyhow::Result<()> {
    let delete = denied(
        "tidy",
        DELETE,
        "access denied for ec2:DeleteNetworkInterface",
    );
    let protect = denied(
        "tidy",
        MODIFY,
        "access denied for ec2:ModifyNetworkInterfaceAttribute",
    );
    let Some(cluster) = delete.launch()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let instance = &member.instance.instance_id;
    let leaked = cluster.cloud().leave_available(&[(TAG, instance)])?;
    for action in [DELETE, MODIFY] {
        let denied = Fault::always(action, FaultKind::AccessDenied);
        cluster.cloud().fault(denied);
    }
    cluster.start_daemons()?;
    is_told(&delete, &cluster)?;
    let pods = add_pods(member, "pod", PER_ENI + 2)?;
    answer(member, &pods)?;
    is_told(&protect, &cluster)?;
    pods_come_and_go(member)?;

    cluster.cloud().clear_faults();
    eventually("both are done after all", SLOW, || {
        let left = cluster.cloud().available_enis();
        ensure!(left.iter().all(|eni| eni.id != leaked.id), "{left:?}");
        let enis = cluster.cloud().enis_of(instance);
        let mut attached = enis.iter().filter_map(|eni| eni.attachment.as_ref());
        ensure!(attached.all(|at| at.delete_on_termination), "{enis:?}");
        let why = reasons(&member.node)?;
        ensure!(why.is_empty(), "{why:?}");
        Ok(())
    })
}

/// What eleven pods leave: an ENI, which stays and serves pods again, and addresses of the primary one. That both are done
/// once they are permitted takes minutes, and is tested on the actor.
#[test]
fn unassigning_and_detaching_denied() -> anyhow::Result<()> {
    let detach = Case {
        settings: &MINUTES,
        ..denied(
            "noback",
            DETACH,
            "access denied for ec2:DetachNetworkInterface",
        )
    };
    let unassign = denied(
        "noback",
        UNASSIGN,
        "access denied for ec2:UnassignPrivateIpAddresses",
    );
    let Some(cluster) = detach.start()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    for action in [DETACH, UNASSIGN] {
        let denied = Fault::always(action, FaultKind::AccessDenied);
        cluster.cloud().fault(denied);
    }
    let pods = add_pods(member, "pod", PER_ENI + 2)?;
    del_pods(member, pods)?;
    is_told(&detach, &cluster)?;
    is_told(&unassign, &cluster)?;
    let pods = add_pods(member, "again", PER_ENI + 2)?;
    answer(member, &pods)?;
    let enis = cluster.cloud().enis_of(&member.instance.instance_id);
    ensure!(enis.len() == 2, "{enis:?}");
    del_pods(member, pods)
}
