//! `mock-ec2` as its users meet it: started with a namespace, talked to, told to end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mock/client.rs"]
mod client;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use client::ec2;
use e2e::netns::{Netns, require_netns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The program, ended with the test.
struct Program(Child);

impl Program {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mock-ec2"));
        Self(command.args(args).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// The first lines of its output.
    fn lines(&mut self, count: usize) -> Vec<String> {
        let lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        lines.take(count).map(Result::unwrap).collect()
    }

    fn end(&mut self, signal: Signal) -> bool {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
        self.0.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_nodes_and_removes_what_it_made() {
    if !require_netns().unwrap() {
        return;
    }
    let netns = Netns::unique("mkprog").unwrap();
    let node = format!("m5.large={}", netns.path().display());
    let mut program = Program::start(&["--node", &node, "--latency", "0"]);
    let lines = program.lines(4);
    let words: Vec<Vec<&str>> = lines.iter().map(|l| l.split(' ').collect()).collect();
    assert_eq!(
        (words[0][0], words[1][0], words[2][0]),
        ("ec2", "admin", "internet")
    );
    assert_eq!((words[3][0], words[3][2]), ("node", "m5.large"));
    let shown = ec2(words[0][1], "DescribeInstances").await.expect_ok();
    assert_eq!(shown.text("instanceId"), words[3][1]);
    assert!(
        netns
            .ip(&["-4", "addr", "show", "eth0"])
            .unwrap()
            .contains(words[3][4])
    );
    assert!(program.end(Signal::SIGTERM));
    assert!(!std::path::Path::new(words[2][1]).exists());
    let left = netns.ip(&["addr"]).unwrap();
    assert!(
        !left.contains("eth0") && !left.contains("169.254"),
        "{left}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fabric_it_needs_no_privilege() {
    let args = [
        "--no-fabric",
        "--node",
        "t3.small",
        "--latency",
        "0",
        "--subnet",
        "10.0.7.0/28",
    ];
    let mut program = Program::start(&args);
    let lines = program.lines(3);
    let node: Vec<&str> = lines[2].split(' ').collect();
    let url = node[5].strip_prefix("ec2=").unwrap();
    let shown = ec2(url, "DescribeSubnets").await.expect_ok();
    assert_eq!(shown.text("cidrBlock"), "10.0.7.0/28");
    assert_eq!(shown.text("availableIpAddressCount"), "10");
    assert!(program.end(Signal::SIGINT));
}

#[test]
fn mistakes_are_told() {
    for (args, words) in [
        (["--node", "m5.large=pid:x"], "no process id"),
        (["--node", "m5.large="], "namespace is missing"),
        (["--no-fabric", "--node=m9.huge"], "InvalidInstanceType"),
        (["--no-fabric", "--subnet=192.168.0.0/24"], "within the VPC"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mock-ec2"));
        let output = command.args(args).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && stderr.contains(words),
            "{args:?}: {stderr}"
        );
    }
}
