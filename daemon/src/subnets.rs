//! Watches how many addresses the node's subnet has left: asks EC2 now and then, tells the metrics. What the pool does
//! does not depend on it, so a missing permission costs this one figure and nothing else.

use std::sync::Arc;
use std::time::Duration;

use ec2::{Ec2, Ec2Error, Kind};
use tokio::sync::watch;

use crate::degraded::{Degraded, Feature, remedy};
use crate::metrics::Metrics;
use crate::node::NodeFacts;

/// Between two answers. DescribeSubnets has a bucket of 100 calls with 20 a second (EC2 API, "Request throttling"), for
/// all nodes and other users of the account: 600 nodes take half of it.
const EVERY: Duration = Duration::from_secs(60);
/// After a denial: a role does not change by itself.
const DENIED: Duration = Duration::from_secs(600);
/// The longest rest of nodes that EC2 throttles: they are too many to ask each minute.
const LONGEST: Duration = Duration::from_secs(1800);

const IF_DENIED: &str = "add the action to the node's role (managed policy AmazonEKS_CNI_Policy), or do without this figure";

/// Watches the subnet of the primary ENI for ever, from when the node is known.
pub async fn watch(
    ec2: Arc<dyn Ec2>,
    mut node: watch::Receiver<Option<NodeFacts>>,
    metrics: Metrics,
    degraded: Degraded,
) {
    let subnet = match node.wait_for(Option::is_some).await {
        Ok(facts) => facts.as_ref().map(|facts| facts.primary.subnet_id.clone()),
        // The daemon stops.
        Err(_) => None,
    };
    let Some(subnet) = subnet else {
        return;
    };
    let mut throttled = 0;
    loop {
        let wait = match ec2.describe_subnet(&subnet).await {
            Ok(free) => {
                metrics.set_subnet_free(&subnet, Some(free));
                degraded.clear(Feature::SubnetFreeAddresses);
                throttled = 0;
                EVERY
            }
            Err(error) => {
                // A figure that is not kept up is worse than none.
                metrics.set_subnet_free(&subnet, None);
                degraded.set(
                    Feature::SubnetFreeAddresses,
                    told(&error),
                    remedy(error.kind, IF_DENIED),
                );
                throttled = if error.kind == Kind::Throttled {
                    throttled + 1
                } else {
                    0
                };
                rest(error.kind, throttled)
            }
        };
        tokio::time::sleep(wait).await;
    }
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
    use tokio::time::sleep;

    use super::*;

    const ACTION: Action = Action::DescribeSubnets;

    struct Watched {
        cloud: FakeEc2,
        metrics: Metrics,
        degraded: Degraded,
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
        let ec2 = Arc::new(cloud.clone());
        let task = tokio::spawn(watch(ec2, node, metrics.clone(), degraded.clone()));
        Watched {
            cloud,
            metrics,
            degraded,
            task,
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
        sleep(EVERY).await;
        assert_eq!(it.metrics.subnets()[&subnet], 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_takes_the_figure_away_and_is_not_repeated_often() {
        let it = watched().await;
        sleep(EVERY / 2).await;
        it.cloud.set_failing(ACTION, Some(Kind::AccessDenied));
        let before = it.cloud.count(ACTION);
        sleep(2 * DENIED).await;
        assert!(it.cloud.count(ACTION) - before <= 3);
        assert!(it.metrics.subnets().is_empty());
        let told = it.degraded.report().pop().unwrap();
        assert!(told.message.contains("ec2:DescribeSubnets"), "{told:?}");
        it.cloud.set_failing(ACTION, None);
        sleep(2 * DENIED).await;
        assert_eq!(
            (it.degraded.report().len(), it.metrics.subnets().len()),
            (0, 1)
        );
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
