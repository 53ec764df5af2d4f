//! The pods' thread that cannot leave a pod, in namespaces without names, which go with their threads (root); and a worker
//! that panics, in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use ipam::PodInterface;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;

use super::*;

fn own_netns() -> File {
    File::open("/proc/thread-self/ns/net").unwrap()
}

fn inode(netns: &File) -> u64 {
    netns.metadata().unwrap().ino()
}

/// Puts the calling thread into a new namespace, or says why the test is skipped.
fn leave_for_another() -> bool {
    let Err(errno) = unshare(CloneFlags::CLONE_NEWNET) else {
        return true;
    };
    assert!(
        std::env::var_os("CI").is_none(),
        "no network namespace: {errno}"
    );
    eprintln!("skipped: cannot make a network namespace: {errno}");
    false
}

fn pod() -> PodDesired {
    PodDesired {
        interface: PodInterface::Created,
        ifname: "eth0".to_owned(),
        pod_mac: Mac([2, 0, 0, 0, 0, 1]),
        host_ifname: "eni0123".to_owned(),
        host_mac: Mac([2, 0, 0, 0, 0, 2]),
        alias: "berth:c/eth0".to_owned(),
        group: 7000,
        mtu: 1500,
        address: Ipv4Addr::new(10, 0, 0, 9),
        gateway: Ipv4Addr::new(169, 254, 1, 1),
        table: 20512,
    }
}

/// Serves the one request, as the thread would.
fn ask<T>(pods: &Pods, request: impl FnOnce(Answer<T>) -> PodRequest) -> Result<T, DataplaneError> {
    let (requests, queue) = handover::channel();
    let (answer, answered) = oneshot::channel();
    requests.send(request(answer)).unwrap();
    drop(requests);
    serve_pods(pods, &queue);
    answered.blocking_recv().unwrap()
}

/// While it is in there nothing is done; once the kernel lets it out, everything is again.
fn lost_and_found(netns: File) {
    let node = own_netns();
    let mut pods = Pods {
        host: Netlink::open().unwrap(),
        home: Home::open_without_return().unwrap(),
        sysctls: Sysctls::new("/proc".into()),
        reaper: Reaper::new().0,
    };
    let inside = inode(&netns);
    let netns = Arc::new(OwnedFd::from(netns));
    let apply = |pods: &Pods| {
        ask(pods, |answer| {
            PodRequest::Apply(Box::new(pod()), netns.clone(), answer)
        })
    };
    apply(&pods).unwrap_err();
    assert_eq!(inode(&own_netns()), inside);
    let error = ask(&pods, PodRequest::Observe).unwrap_err();
    assert!(error.to_string().contains("nsenter --net"), "{error}");

    pods.home.set_return(node.try_clone().unwrap());
    assert_eq!(ask(&pods, PodRequest::Observe).unwrap(), []);
    assert_eq!(inode(&own_netns()), inode(&node));
    let links = apply(&pods).unwrap();
    let [observed] = ask(&pods, PodRequest::Observe).unwrap().try_into().unwrap();
    assert_eq!(observed.ifindex, links.host_ifindex);
}

#[test]
fn a_thread_that_could_not_leave_a_pod_goes_on_when_it_can() {
    let pod = thread::spawn(|| leave_for_another().then(own_netns));
    let Some(pod) = pod.join().unwrap() else {
        return;
    };
    let node = thread::spawn(move || {
        assert!(leave_for_another());
        lost_and_found(pod);
    });
    node.join().unwrap();
}

/// Makes the test below panic on a worker.
const PANIC: &str = "BERTH_TEST_PANIC";

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "what ends a process is seen from another one"
)]
fn a_worker_that_panics_takes_the_daemon_with_it() {
    if std::env::var_os(PANIC).is_some() {
        let worker = || Ok((|| panic!("a bug"), ()));
        spawn("berth-broken", worker).unwrap();
        thread::park_timeout(std::time::Duration::from_secs(60));
        return;
    }
    let name = "dataplane::kernel::tests::a_worker_that_panics_takes_the_daemon_with_it";
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", name]).env(PANIC, "1").output();
    let signal = output.unwrap().status.signal();
    assert_eq!(signal, Some(Signal::SIGABRT as i32));
}
