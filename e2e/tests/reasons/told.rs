//! A case, and the four places where a person reads what it says.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::cluster::{Cluster, Member};
use e2e::mock::{CloudConfig, Fault, FaultKind};
use e2e::netns::output;
use e2e::node::http::{self, sample};
use e2e::node::pod::Pod;
use e2e::node::programs::{BERTHD, find};
use serde_json::Value;

use crate::fixture::{
    M5_LARGE, TRY_AGAIN, add_pods, answer, config, eventually, launch, logged, reasons, refusal,
    start,
};

/// An ADD waits so long, seconds.
const WAIT: &str = "3";
/// It must be over by then: what the runtime waits at most before the plugin itself gives up.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long until berth tries again what was refused: a call that lacks a permission rests longest, for 10 s and 20 s.
const TRIED_AGAIN: Duration = Duration::from_secs(60);
/// What may take its time: an ENI is given half a minute for its link, and EC2's time-out is 10 s.
pub const SLOW: Duration = Duration::from_secs(100);

pub const ASSIGN: &str = "AssignPrivateIpAddresses";
pub const ATTACH: &str = "AttachNetworkInterface";
pub const CREATE: &str = "CreateNetworkInterface";
pub const DESCRIBE: &str = "DescribeNetworkInterfaces";

/// The failure of the one action that is no call to EC2.
pub const NO_LINK: &str = "NoLink";

/// How the fault shows in an ADD.
#[derive(Clone, Copy)]
pub enum Add {
    /// It gets no address, and says why.
    Refused,
    /// It waits and gets one.
    Served,
}

/// Something that goes wrong, and what is to be read of it.
pub struct Case {
    /// Name of the namespaces.
    pub name: &'static str,
    /// The node.
    pub instance: &'static str,
    /// Settings beside those of all cases.
    pub settings: &'static [(&'static str, &'static str)],
    /// What happens to an ADD.
    pub add: Add,
    /// The reason's name.
    pub reason: &'static str,
    /// Its words.
    pub words: &'static str,
    /// What the remedy speaks of.
    pub remedy: &'static str,
    /// The call that fails, and as what it is counted and logged. None: no call fails.
    pub call: Option<(&'static str, &'static str)>,
    /// In the log line of the call, beside its kind.
    pub code: &'static str,
}

impl Case {
    /// A refused ADD on an m5.large, where `call` fails as what the reason is named.
    pub const fn refused(
        name: &'static str,
        action: &'static str,
        reason: &'static str,
        words: &'static str,
    ) -> Self {
        Self {
            name,
            instance: M5_LARGE,
            settings: &[],
            add: Add::Refused,
            reason,
            words,
            remedy: "",
            call: Some((action, reason)),
            code: "",
        }
    }

    /// An ADD on an m5.large that is served although `action` failed, as `kind` and with `code` in the log.
    pub const fn served(
        name: &'static str,
        action: &'static str,
        kind: &'static str,
        code: &'static str,
    ) -> Self {
        Self {
            add: Add::Served,
            code,
            ..Self::refused(name, action, kind, "")
        }
    }

    /// A node whose daemon has its reserve; none where namespaces are not to be had.
    pub fn start(&self) -> anyhow::Result<Option<Cluster>> {
        self.start_in(config(self.name))
    }

    /// The same in a cloud of one's own.
    pub fn start_in(&self, cloud: CloudConfig) -> anyhow::Result<Option<Cluster>> {
        start(cloud, self.instance, 1, &self.all_settings())
    }

    /// The same without a daemon.
    pub fn launch(&self) -> anyhow::Result<Option<Cluster>> {
        launch(config(self.name), self.instance, 1, &self.all_settings())
    }

    fn all_settings(&self) -> Vec<(&'static str, &'static str)> {
        let wait = match self.add {
            Add::Refused => WAIT,
            Add::Served => "20",
        };
        let common = [
            ("BERTH_ADD_WAIT_SECONDS", wait),
            ("IP_COOLDOWN_PERIOD", "1"),
        ];
        [&common, self.settings].concat()
    }

    /// The whole of a case whose cause is a fault of the mock: met, told, and over when the fault is.
    pub fn under(&self, faults: &[Fault]) -> anyhow::Result<()> {
        let Some(cluster) = self.start()? else {
            return Ok(());
        };
        for fault in faults {
            cluster.cloud().fault(fault.clone());
        }
        let _pods = use_reserve(&cluster.members[0])?;
        self.met(&cluster)
    }

    /// The fault is there and the reserve is used: it is met and told, and over when the mock's faults are.
    pub fn met(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let member = &cluster.members[0];
        match self.add {
            Add::Refused => self.is_told(member)?,
            Add::Served => {
                let pod = member.node.add_pod("patient", &[])?;
                answer(member, &[pod])?;
                self.was_outlasted(member)?;
            }
        }
        cluster.cloud().clear_faults();
        recovers(cluster, member)
    }

    /// The four places say it.
    pub fn is_told(&self, member: &Member) -> anyhow::Result<()> {
        self.is_told_within(member, DEADLINE)
    }

    /// The error, the log and the metrics say it; by the time of a look at the status its cause is over.
    pub fn is_told_at_once(&self, member: &Member) -> anyhow::Result<()> {
        self.error_says(member)?;
        self.log_says(member)?;
        self.metrics_say(member)
    }

    /// The same where the cause takes time to show.
    pub fn is_told_within(&self, member: &Member, patience: Duration) -> anyhow::Result<()> {
        self.is_told_but_for_metrics(member, patience)?;
        self.metrics_say(member)
    }

    /// The error, the status and the log say it.
    pub fn is_told_but_for_metrics(
        &self,
        member: &Member,
        patience: Duration,
    ) -> anyhow::Result<()> {
        // While a refused call is being made again there is no reason for a moment: the next ADD meets it again.
        eventually(self.name, patience, || self.error_says(member))?;
        eventually(self.name, DEADLINE, || self.status_says(member))?;
        self.log_says(member)
    }

    /// One: the error of an ADD, which comes in time.
    fn error_says(&self, member: &Member) -> anyhow::Result<()> {
        let started = Instant::now();
        let error = refusal(member.node.add_pod("one-more", &[]))?;
        let elapsed = started.elapsed();
        ensure!(error.code == TRY_AGAIN, "{error}");
        ensure!(
            error.msg.contains(self.words),
            "no {:?} in {:?}",
            self.words,
            error.msg
        );
        ensure!(
            !error.details.is_empty() && error.details.contains(self.remedy),
            "{}: no {:?} in the remedy {:?}",
            self.reason,
            self.remedy,
            error.details
        );
        ensure!(elapsed < DEADLINE, "the ADD took {elapsed:?}");
        Ok(())
    }

    /// The log line of the call alone.
    pub fn log_says_of_call(&self, member: &Member) -> anyhow::Result<()> {
        self.log_has_call(&logged(&member.node, "WARN")?)
    }

    /// Two: the status, for tools and for people.
    pub fn status_says(&self, member: &Member) -> anyhow::Result<()> {
        let why = reasons(&member.node)?;
        let prefix = format!("{}: ", self.reason);
        let told = |reason: &&String| reason.starts_with(&prefix) && reason.contains(self.words);
        let reason = why.iter().find(told);
        let reason = reason.with_context(|| format!("the status says {why:?}"))?;
        let page = status_page(member)?;
        // a moment later it may count another one
        let name = reason.split(':').next().unwrap_or_default();
        ensure!(page.contains(name), "no {name} in the page:\n{page}");
        Ok(())
    }

    /// Three: the log, a JSON line for the request and one for the call.
    fn log_says(&self, member: &Member) -> anyhow::Result<()> {
        let lines = logged(&member.node, "WARN")?;
        let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        let request = lines.iter().any(|line| {
            text(line, "message") == "cni request"
                && text(line, "verb") == "add"
                && text(line, "result") == self.reason
                && text(line, "msg").contains(self.words)
                && text(line, "pod").ends_with("/one-more")
                && line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0)
        });
        ensure!(
            request,
            "no request failed by {} in {lines:#?}",
            self.reason
        );
        self.log_has_call(&lines)
    }

    fn log_has_call(&self, lines: &[Value]) -> anyhow::Result<()> {
        let Some((action, kind)) = self.call else {
            return Ok(());
        };
        let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        let call = lines.iter().any(|line| {
            text(line, "message") == "pool action failed"
                && text(line, "kind") == kind
                && text(line, "error").contains(action)
                && text(line, "error").contains(self.code)
                && !text(line, "action").is_empty()
        });
        ensure!(
            call,
            "no {action} failed as {kind} ({}) in {lines:#?}",
            self.code
        );
        Ok(())
    }

    /// Four: the metrics count the ADDs by their result and by what they waited for, and the call by its outcome.
    pub fn metrics_say(&self, member: &Member) -> anyhow::Result<()> {
        let reason = self.reason;
        let metrics = metrics(member)?;
        let requests =
            format!("berth_cni_request_duration_seconds_count{{result=\"{reason}\",verb=\"add\"}}");
        let waits = format!("berth_add_wait_seconds_count{{reason=\"{reason}\"}}");
        for series in [requests, waits] {
            ensure!(counted(&metrics, &series)?, "no {series} in\n{metrics}");
        }
        self.metrics_have_call(&metrics)
    }

    /// The metrics have the reason among those of now, and count the call.
    pub fn metrics_say_by_themselves(&self, member: &Member) -> anyhow::Result<()> {
        let metrics = metrics(member)?;
        let active = format!("berth_reason_active{{reason=\"{}\"}}", self.reason);
        ensure!(counted(&metrics, &active)?, "no {active} in\n{metrics}");
        self.metrics_have_call(&metrics)
    }

    fn metrics_have_call(&self, metrics: &str) -> anyhow::Result<()> {
        let Some((action, outcome)) = self.call else {
            return Ok(());
        };
        let series =
            format!("berth_ec2_requests_total{{action=\"{action}\",outcome=\"{outcome}\"}}");
        let is_call = outcome != NO_LINK;
        ensure!(
            !is_call || counted(metrics, &series)?,
            "no {series} in\n{metrics}"
        );
        Ok(())
    }

    /// A fault that was outlasted: the log and the metrics know of it, and the status is content again.
    fn was_outlasted(&self, member: &Member) -> anyhow::Result<()> {
        self.log_has_call(&logged(&member.node, "WARN")?)?;
        self.metrics_have_call(&metrics(member)?)?;
        let requests = logged(&member.node, "INFO")?;
        let served = requests.iter().any(|line| {
            line["message"] == "cni request"
                && line["result"] == "ok"
                && line["pod"]
                    .as_str()
                    .is_some_and(|pod| pod.ends_with("/patient"))
        });
        ensure!(served, "no line says that the ADD was served");
        eventually("no reason is left", TRIED_AGAIN, || {
            let why = reasons(&member.node)?;
            ensure!(why.is_empty(), "the status says {why:?}");
            Ok(())
        })
    }
}

/// What `/metrics` on the node's address says; its listener opens a moment after the node knows itself.
fn metrics(member: &Member) -> anyhow::Result<String> {
    let scrape = || http::scrape(member.node.netns(), member.address());
    eventually("/metrics", DEADLINE, scrape)
}

/// Whether something was counted.
fn counted(metrics: &str, series: &str) -> anyhow::Result<bool> {
    Ok(sample(metrics, series)? > 0.0)
}

/// The page that `berthd status` shows to people.
pub fn status_page(member: &Member) -> anyhow::Result<String> {
    let program = find(BERTHD)?.display().to_string();
    let mut command = member.node.netns().command(&program);
    command
        .arg("status")
        .env("BERTH_SOCKET", member.node.socket());
    output(&mut command)
}

/// Takes what is in reserve.
pub fn use_reserve(member: &Member) -> anyhow::Result<Vec<Pod>> {
    let free = member.node.status()?.addresses.free;
    add_pods(member, "pod", usize::try_from(free)?)
}

/// An ADD works again.
pub fn recovers(cluster: &Cluster, member: &Member) -> anyhow::Result<()> {
    let pod = eventually("ADD works again", TRIED_AGAIN, || {
        member.node.add_pod("late", &[])
    })?;
    answer(member, &[pod])?;
    member.settled(cluster.cloud(), TRIED_AGAIN).map(drop)
}

/// An error that EC2 answers.
pub fn error(code: &str, status: u16) -> FaultKind {
    FaultKind::Error {
        code: code.to_owned(),
        status,
    }
}
