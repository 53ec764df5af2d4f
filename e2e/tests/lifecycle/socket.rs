//! The contract spoken by hand to the real daemon: descriptors that are missing, doubled or not wanted.

use std::fs;
use std::io::{IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use berth_cni::contract::{
    AddRequest, Ask, AttachmentId, Failure, Interface, Outcome, PROTOCOL, Reply, Request,
};
use e2e::netns::Netns;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg};

use crate::fixture::{M5_LARGE, SOON, answer, config, eventually, start};

/// CNI code of a breach of the contract; 100 and up are the plugin's own.
const BREACH: u32 = 100;
/// How often each is repeated: what leaks shows.
const ROUNDS: usize = 10;

#[test]
fn descriptor_missing_or_doubled_on_the_socket() -> anyhow::Result<()> {
    let Some(cluster) = start(config("fds"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let socket = member.node.socket();
    let sandbox = Netns::unique("fds-pod")?;
    let netns = fs::File::open(sandbox.path())?;
    let fd = netns.as_raw_fd();
    let daemon = pid(&socket)?;
    let before = open(daemon)?;
    for _ in 0..ROUNDS {
        for descriptors in [&[][..], &[fd, fd], &[fd, fd, fd, fd, fd, fd, fd, fd]] {
            let failure = refused(&socket, add(&sandbox), descriptors)?;
            ensure!(
                failure.code == BREACH && failure.reason == "Descriptors",
                "ADD with {} descriptors: {failure:?}",
                descriptors.len()
            );
        }
        let failure = refused(&socket, Ask::State, &[fd])?;
        ensure!(
            failure.reason == "Descriptors",
            "a question with one: {failure:?}"
        );
        // and one who leaves in the middle of the request
        let stream = UnixStream::connect(&socket)?;
        send(&stream, &[0, 0], &[fd])?;
    }
    eventually("all descriptors are closed", SOON, || {
        let now = open(daemon)?;
        ensure!(now <= before, "{before} descriptors were open, {now} are");
        Ok(())
    })?;
    ensure!(pid(&socket)? == daemon, "the daemon is another one");
    ensure!(sandbox.ip(&["-o", "link"])?.lines().count() == 1);
    ensure!(member.node.status()?.attachments.is_empty());
    let pod = member.node.add_pod("proper", &[])?;
    answer(member, &[pod])
}

fn add(sandbox: &Netns) -> Ask {
    Ask::Add(AddRequest {
        id: AttachmentId {
            network: "aws-cni".to_owned(),
            container_id: "by-hand".to_owned(),
            ifname: "eth0".to_owned(),
        },
        pod: None,
        netns: sandbox.path().display().to_string(),
        interface: Interface::Create,
        veth_prefix: None,
        mtu: None,
    })
}

/// Sends a request with these descriptors on its first byte; the daemon must say what is wrong with it.
fn refused(socket: &Path, ask: Ask, descriptors: &[i32]) -> anyhow::Result<Failure> {
    let request = Request {
        protocol: PROTOCOL,
        invocation: "by-hand".to_owned(),
        ask,
    };
    let body = serde_json::to_vec(&request)?;
    let mut frame = u32::try_from(body.len())?.to_be_bytes().to_vec();
    frame.extend(body);
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let sent = send(&stream, &frame, descriptors)?;
    // a daemon that has refused already need not read the rest
    let _ = stream.write_all(&frame[sent..]);
    let mut length = [0; 4];
    stream.read_exact(&mut length).context("no reply")?;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    stream.read_exact(&mut body)?;
    match serde_json::from_slice::<Reply>(&body)?.outcome {
        Outcome::Failed(failure) => Ok(failure),
        other => anyhow::bail!("not refused: {other:?}"),
    }
}

fn send(stream: &UnixStream, bytes: &[u8], descriptors: &[i32]) -> anyhow::Result<usize> {
    let control = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() {
        &[]
    } else {
        &control[..]
    };
    let bytes = [IoSlice::new(bytes)];
    Ok(sendmsg::<()>(
        stream.as_raw_fd(),
        &bytes,
        control,
        MsgFlags::empty(),
        None,
    )?)
}

/// The process that listens.
fn pid(socket: &Path) -> anyhow::Result<i32> {
    let stream = UnixStream::connect(socket)?;
    Ok(getsockopt(&stream, PeerCredentials)?.pid())
}

/// How many descriptors a process has.
fn open(pid: i32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}
