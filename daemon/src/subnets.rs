//! Watches how many addresses the node's subnet has left: asks EC2 now and then, and tells the metrics and the actor, whose
//! plans hold less in a nearly full subnet. Where EC2 does not say, nobody pretends to know: a missing permission costs the
//! figure and that restraint, nothing else.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use ec2::{Ec2, Ec2Error, Kind};
use ipam::Subnet;
use ipam::sight::LOOK_EVERY as EVERY;
use ipnet::Ipv4Net;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::degraded::{Degraded, Feature, remedy};
use crate::metrics::Metrics;
use crate::node::NodeFacts;

/// After a denial: a role does not change by itself.
const DENIED: Duration = Duration::from_secs(600);
/// The longest rest of nodes that EC2 throttles: they are too many to ask each minute.
const LONGEST: Duration = Duration::from_secs(1800);
/// What AWS keeps of each subnet (VPC User Guide, "Subnet sizing").
const RESERVED: u32 = 5;

const IF_DENIED: &str = "add the action to the node's role (managed policy AmazonEKS_CNI_Policy), or do without: nothing is given back earlier in a full subnet";

/// What is watched for whom.
pub struct SubnetSight<T> {
    /// Who is asked.
    pub ec2: Arc<dyn Ec2>,
    /// Whose subnet.
    pub node: watch::Receiver<Option<NodeFacts>>,
    /// Whether the node needs addresses or could give some, so that the subnet's state matters to it.
    pub concerned: watch::Receiver<bool>,
    /// Gets the figure.
    pub metrics: Metrics,
    /// Gets what stands in its way.
    pub degraded: Degraded,
    /// Is told what EC2 says; `None` where it does not.
    pub tell: T,
}

impl<T: Fn(Option<Subnet>)> SubnetSight<T> {
    /// Watches the subnet of the primary ENI for ever, from when the node is known.
    pub async fn watch(mut self) {
        // An error says that the daemon stops.
        let known = self.node.wait_for(Option::is_some).await;
        let Some((id, cidr)) = known.ok().and_then(|facts| {
            let primary = &facts.as_ref()?.primary;
            Some((primary.subnet_id.clone(), primary.subnet))
        }) else {
            return;
        };
        let mut throttled = 0;
        loop {
            match self.ec2.describe_subnet(&id).await {
                Ok(free) => {
                    throttled = 0;
                    self.metrics.set_subnet_free(&id, Some(free));
                    self.degraded.clear(Feature::SubnetFreeAddresses);
                    let subnet = sized(free, cidr);
                    (self.tell)(Some(subnet));
                    self.pause(subnet).await;
                }
                Err(error) => {
                    let often = error.kind == Kind::Throttled;
                    throttled = if often { throttled + 1 } else { 0 };
                    self.blind(&id, &error);
                    sleep(jittered(rest(error.kind, throttled))).await;
                }
            }
        }
    }

    /// A figure that is not kept up is worse than none.
    fn blind(&self, id: &str, error: &Ec2Error) {
        self.metrics.set_subnet_free(id, None);
        self.degraded.set(
            Feature::SubnetFreeAddresses,
            told(error),
            remedy(error.kind, IF_DENIED),
        );
        (self.tell)(None);
    }

    /// Until the next question: shorter where little is left, as soon as the node is concerned.
    async fn pause(&mut self, subnet: Subnet) {
        let soonest = subnet.look_after();
        sleep(jittered(soonest)).await;
        tokio::select! {
            () = sleep(jittered(EVERY).saturating_sub(soonest)) => {}
            Ok(_) = self.concerned.wait_for(|concerned| *concerned) => {}
        }
    }
}

/// All that a subnet can give, and what is left of it.
fn sized(free: u32, cidr: Ipv4Net) -> Subnet {
    let all = 1u64 << (32 - u32::from(cidr.prefix_len()));
    let size = u32::try_from(all).unwrap_or(u32::MAX);
    Subnet {
        free,
        size: size.saturating_sub(RESERVED),
    }
}

/// Three to five quarters of `wait`, evenly spread: nodes that were started together must not ask together for ever.
fn jittered(wait: Duration) -> Duration {
    // Each RandomState has keys of its own.
    let dice = RandomState::new().hash_one(());
    let part = u32::try_from(dice % 1024).unwrap_or_default();
    wait * 3 / 4 + wait / 2 * part / 1024
}

/// The same words as the typed reasons'.
fn told(error: &Ec2Error) -> String {
    match error.kind {
        Kind::AccessDenied => format!("access denied for ec2:{}", error.action),
        _ => error.to_string(),
    }
}

fn rest(kind: Kind, throttled: u32) -> Duration {
    match kind {
        Kind::AccessDenied => DENIED,
        Kind::Throttled => EVERY.saturating_mul(1 << throttled.min(5)).min(LONGEST),
        _ => EVERY,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ec2::fake::{FakeEc2, FakeSetup};
    use ec2::{Action, Metadata};
    use tokio::task::JoinHandle;

    use super::*;

    const ACTION: Action = Action::DescribeSubnets;

    struct Watched {
        cloud: FakeEc2,
        metrics: Metrics,
        degraded: Degraded,
        concerned: watch::Sender<bool>,
        told: watch::Receiver<Option<Subnet>>,
        task: JoinHandle<()>,
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    async fn watched() -> Watched {
        let cloud = FakeEc2::new(FakeSetup::default()).unwrap();
        let identity = cloud.identity().await.unwrap();
        let interfaces = cloud.interfaces().await.unwrap();
        let limits = ec2::limits::built_in("m5.large").unwrap();
        let facts = NodeFacts::new(identity, &interfaces, limits).unwrap();
        let (_known, node) = watch::channel(Some(facts));
        let (metrics, degraded) = (Metrics::new().unwrap(), Degraded::default());
        let (concerned, attention) = watch::channel(false);
        let (tell, told) = watch::channel(None);
        let sight = SubnetSight {
            ec2: Arc::new(cloud.clone()),
            node,
            concerned: attention,
            metrics: metrics.clone(),
            degraded: degraded.clone(),
            tell: move |subnet| {
                let _ = tell.send_replace(subnet);
            },
        };
        Watched {
            cloud,
            metrics,
            degraded,
            concerned,
            told,
            task: tokio::spawn(sight.watch()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_figure_follows_the_subnet() {
        let it = watched().await;
        sleep(EVERY / 2).await;
        let subnet = FakeSetup::default().subnet_id;
        let free = u64::try_from(it.cloud.free_in_subnet()).unwrap();
        assert_eq!(it.metrics.subnets()[&subnet], free);
        it.cloud.set_free_in_subnet(10);
        sleep(2 * EVERY).await;
        assert_eq!(it.metrics.subnets()[&subnet], 10);
        // A /24 without AWS's five.
        let (free, size) = (10, 251);
        assert_eq!(*it.told.borrow(), Some(Subnet { free, size }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_nearly_full_subnet_is_watched_closely_by_whom_it_concerns() {
        let it = watched().await;
        it.cloud.set_free_in_subnet(40);
        sleep(3 * EVERY).await;
        let calls_in = async |time| {
            let before = it.cloud.count(ACTION);
            sleep(time).await;
            it.cloud.count(ACTION) - before
        };
        let unconcerned = calls_in(10 * EVERY).await;
        assert!((6..=15).contains(&unconcerned), "{unconcerned}");
        it.concerned.send_replace(true);
        let soon = calls_in(EVERY / 4).await;
        assert!(soon >= 1, "{soon}");
        let concerned = calls_in(10 * EVERY).await;
        assert!((45..=85).contains(&concerned), "{concerned}");
        it.cloud.set_free_in_subnet(200);
        sleep(EVERY).await;
        let roomy = calls_in(10 * EVERY).await;
        assert!((6..=15).contains(&roomy), "{roomy}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_takes_the_figure_away_and_is_not_repeated_often() {
        let it = watched().await;
        sleep(EVERY / 2).await;
        it.cloud.set_failing(ACTION, Some(Kind::AccessDenied));
        let before = it.cloud.count(ACTION);
        sleep(2 * DENIED).await;
        assert!(it.cloud.count(ACTION) - before <= 3);
        assert!(it.metrics.subnets().is_empty() && it.told.borrow().is_none());
        let told = it.degraded.report().pop().unwrap();
        assert!(told.message.contains("ec2:DescribeSubnets"), "{told:?}");
        it.cloud.set_failing(ACTION, None);
        sleep(2 * DENIED).await;
        assert_eq!(
            (it.degraded.report().len(), it.metrics.subnets().len()),
            (0, 1)
        );
        assert!(it.told.borrow().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn throttled_nodes_ask_less_and_less() {
        let it = watched().await;
        sleep(EVERY / 2).await;
        it.cloud.set_failing(ACTION, Some(Kind::Throttled));
        let before = it.cloud.count(ACTION);
        sleep(120 * EVERY).await;
        let calls = it.cloud.count(ACTION) - before;
        assert!((4..=9).contains(&calls), "{calls} calls in two hours");
    }
}
