//! A host that was set up strictly before berth came.

use anyhow::{Context, ensure};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::probe::Patience;
use e2e::probe::ping::ping;

use crate::fixture::{M5_LARGE, PER_ENI, add_pods, config, launch};

/// Distributions ship `rp_filter=1`. A pod on a secondary ENI has its packets come in where no route of the main table
/// leads back: strict filtering drops them in silence.
#[test]
fn strict_rp_filter_before_start() -> anyhow::Result<()> {
    let Some(cluster) = launch(config("strict"), M5_LARGE, 2, &[])? else {
        return Ok(());
    };
    let [member, other] = &cluster.members[..] else {
        anyhow::bail!("two nodes were asked for")
    };
    let host = member.node.netns();
    for link in ["all", "default", "eth0"] {
        host.sysctl(&format!("net.ipv4.conf.{link}.rp_filter"), "1")?;
    }
    cluster.start_daemons()?;
    for member in &cluster.members {
        member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    }
    let pods = add_pods(member, "pod", PER_ENI + 1)?;
    let status = member.node.status()?;
    let mut secondary = 0;
    for pod in &pods {
        let eni = status.eni_of(pod.address).context("a pod without an ENI")?;
        secondary += u32::from(eni.device_index != 0);
        ping(&pod.netns, other.address(), Patience::USUAL)?;
        ping(other.node.netns(), pod.address, Patience::USUAL)?;
    }
    ensure!(secondary > 0, "no pod is on a secondary ENI");
    let on_second = pods
        .iter()
        .find(|pod| {
            status
                .eni_of(pod.address)
                .is_some_and(|eni| eni.device_index != 0)
        })
        .context("no pod is on a secondary ENI")?;
    // the negative control: this host does drop them where berth has not said otherwise, and does not say so again
    member.node.pause_daemon()?;
    host.sysctl("net.ipv4.conf.eth1.rp_filter", "1")?;
    let dropped = ping(other.node.netns(), on_second.address, Patience::ONCE);
    member.node.resume_daemon()?;
    ensure!(dropped.is_err(), "a strict rp_filter changes nothing here");
    Ok(())
}
