//! A client of the container runtime interface, in kubelet's place: gRPC over containerd's socket, one call a method.
//!
//! It waits for each answer; many threads may ask at once. It does not retry, which kubelet does.

pub mod messages;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use prost::Message;
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use self::messages::{
    ContainerConfig, ContainerId, CreateContainerRequest, Empty, ExecSyncRequest, ExecSyncResponse,
    ListPodSandboxResponse, PodSandboxConfig, PodSandboxId, PodSandboxStatusRequest,
    PodSandboxStatusResponse, RunPodSandboxRequest, StatusResponse,
};

/// How long kubelet waits for RunPodSandbox: twice its `runtimeRequestTimeout`, whose default is 2 min.
const RUN_TIMEOUT: Duration = Duration::from_secs(240);
/// How long kubelet waits for anything else.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long a program that a test runs in a container may take, in seconds.
const EXEC_SECONDS: i64 = 60;

/// A connection to one containerd; it comes again by itself after a restart.
#[derive(Debug)]
pub struct Cri {
    channel: Channel,
    runtime: Runtime,
}

impl Cri {
    /// A client of the socket at `path`, which may not be there yet.
    ///
    /// # Errors
    /// The path is none, or there are no threads to be had.
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let entered = runtime.enter();
        let channel = Endpoint::from_shared(format!("unix://{}", path.display()))?.connect_lazy();
        drop(entered);
        Ok(Self { channel, runtime })
    }

    /// Whether runtime and network are ready.
    ///
    /// # Errors
    /// One is not, and which.
    pub fn ready(&self) -> anyhow::Result<()> {
        let answer: StatusResponse = self.call("Status", Empty {}, TIMEOUT)?;
        let conditions = answer.status.context("no status")?.conditions;
        for condition in &conditions {
            ensure!(
                condition.status,
                "not {}: {}",
                condition.kind,
                condition.message
            );
        }
        ensure!(conditions.len() >= 2, "only {conditions:?}");
        Ok(())
    }

    /// Runs a sandbox and returns its id.
    ///
    /// # Errors
    /// As all the others here: containerd's own words, with the method's name.
    pub fn run(&self, config: PodSandboxConfig) -> anyhow::Result<String> {
        self.run_by("", config)
    }

    /// The same by a runtime handler; the empty one is the default.
    ///
    /// # Errors
    /// As [`Cri::run`].
    pub fn run_by(&self, handler: &str, config: PodSandboxConfig) -> anyhow::Result<String> {
        let request = RunPodSandboxRequest {
            config: Some(config),
            runtime_handler: handler.to_owned(),
        };
        let answer: PodSandboxId = self.call("RunPodSandbox", request, RUN_TIMEOUT)?;
        Ok(answer.pod_sandbox_id)
    }

    /// Stops a sandbox: its containers and its network.
    ///
    /// # Errors
    /// As [`Cri::run`].
    pub fn stop(&self, id: &str) -> anyhow::Result<()> {
        let _: Empty = self.call("StopPodSandbox", sandbox(id), TIMEOUT)?;
        Ok(())
    }

    /// Removes a sandbox, stopped or not.
    ///
    /// # Errors
    /// As [`Cri::run`].
    pub fn remove(&self, id: &str) -> anyhow::Result<()> {
        let _: Empty = self.call("RemovePodSandbox", sandbox(id), TIMEOUT)?;
        Ok(())
    }

    /// What is known of a sandbox, containerd's own details included.
    ///
    /// # Errors
    /// As [`Cri::run`].
    pub fn status(&self, id: &str) -> anyhow::Result<PodSandboxStatusResponse> {
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: id.to_owned(),
            verbose: true,
        };
        self.call("PodSandboxStatus", request, TIMEOUT)
    }

    /// The ids of all sandboxes, stopped ones included.
    ///
    /// # Errors
    /// As [`Cri::run`].
    pub fn sandboxes(&self) -> anyhow::Result<Vec<String>> {
        let answer: ListPodSandboxResponse = self.call("ListPodSandbox", Empty {}, TIMEOUT)?;
        Ok(answer.items.into_iter().map(|item| item.id).collect())
    }

    /// Creates and starts a container in a sandbox and returns its id.
    ///
    /// # Errors
    /// As [`Cri::run`].
    pub fn start(
        &self,
        id: &str,
        config: ContainerConfig,
        of: PodSandboxConfig,
    ) -> anyhow::Result<String> {
        let request = CreateContainerRequest {
            pod_sandbox_id: id.to_owned(),
            config: Some(config),
            sandbox_config: Some(of),
        };
        let created: ContainerId = self.call("CreateContainer", request, TIMEOUT)?;
        let _: Empty = self.call("StartContainer", created.clone(), TIMEOUT)?;
        Ok(created.container_id)
    }

    /// Runs a program in a container to its end and returns what it printed.
    ///
    /// # Errors
    /// As [`Cri::run`]; or the program failed.
    pub fn exec(&self, container: &str, command: &[&str]) -> anyhow::Result<String> {
        let request = ExecSyncRequest {
            container_id: container.to_owned(),
            cmd: command.iter().map(|&word| word.to_owned()).collect(),
            timeout: EXEC_SECONDS,
        };
        let answer: ExecSyncResponse = self.call("ExecSync", request, TIMEOUT)?;
        ensure!(
            answer.exit_code == 0,
            "{command:?} ended with {}: {}{}",
            answer.exit_code,
            String::from_utf8_lossy(&answer.stdout),
            String::from_utf8_lossy(&answer.stderr)
        );
        Ok(String::from_utf8(answer.stdout)?)
    }

    fn call<Q, A>(&self, method: &str, request: Q, timeout: Duration) -> anyhow::Result<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let path = PathAndQuery::try_from(format!("/runtime.v1.RuntimeService/{method}"))?;
        let mut request = Request::new(request);
        request.set_timeout(timeout);
        self.runtime.block_on(async {
            let mut grpc = Grpc::new(self.channel.clone());
            grpc.ready().await.with_context(|| method.to_owned())?;
            let codec = ProstCodec::<Q, A>::default();
            let answer = grpc.unary(request, path, codec).await;
            // the status alone: its Debug has pages of metadata
            answer
                .map(tonic::Response::into_inner)
                .map_err(|status| anyhow::anyhow!("{method}: {}", status.message()))
        })
    }
}

fn sandbox(id: &str) -> PodSandboxId {
    PodSandboxId {
        pod_sandbox_id: id.to_owned(),
    }
}
