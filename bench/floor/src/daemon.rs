//! `floor-daemon SOCKET FIRST-ADDRESS`: what the kernel must be told for one ADD or DEL of a pod in berth's layout, in one
//! thread, one request after another. Nothing is parsed but three words, nothing is decided, nothing is written down: an
//! address is the next one, and indexes are chosen here so that nothing has to be asked.

mod netlink;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

use netlink::{Batch, attribute};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};

const MTU: u32 = 9001;
/// Pods of the primary ENI, links that are to be deleted, pods' routes, the pods' gateway: as berth's.
const GROUP: u32 = 7000;
const DOOMED: u32 = 6999;
const TABLE: u32 = 20512;
const GATEWAY: [u8; 4] = [169, 254, 1, 1];
/// How long links are gathered before they are deleted, as berth's reaper does: deleting one takes 20 ms and more.
const BATCH_MS: u16 = 200;
/// Index of the pods' ends, above what the kernel gives by itself; the hosts' ends count on from it.
const INDEX: u32 = 100_000;

/// linux/rtnetlink.h; attributes below by their numbers there.
const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const SETLINK: u16 = 19;
const NEWADDR: u16 = 20;
const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const NEWNEIGH: u16 = 28;
const CREATE_EXCL: u16 = 0x600;
const CREATE_REPLACE: u16 = 0x500;
const MAIN: u8 = 254;
const BOOT: u8 = 3;
const NOPREFIX: [u8; 4] = 0x200_u32.to_ne_bytes();
const UP: [u8; 4] = 1_u32.to_ne_bytes();
const NOTHING: [u8; 4] = [0; 4];

struct Floor {
    home: File,
    netlink: OwnedFd,
    /// Index and address of each pod, by its container.
    pods: HashMap<String, (u32, Ipv4Addr)>,
    made: u32,
    first: Ipv4Addr,
    is_doomed: bool,
}

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(socket), Some(first)) = (words.next(), words.next()) else {
        return Err(io::Error::other("floor-daemon SOCKET FIRST-ADDRESS"));
    };
    let mut floor = Floor {
        home: File::open("/proc/thread-self/ns/net")?,
        netlink: netlink::open()?,
        pods: HashMap::new(),
        made: 0,
        first: first.parse().map_err(io::Error::other)?,
        is_doomed: false,
    };
    let listener = UnixListener::bind(socket)?;
    loop {
        let gather = floor.is_doomed.then(|| PollTimeout::from(BATCH_MS));
        let mut waiting = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        if poll(&mut waiting, gather)? == 0 {
            floor.reap()?;
            continue;
        }
        let (mut client, _) = listener.accept()?;
        let mut request = [0; 500];
        client.read_exact(&mut request)?;
        let done = floor.answer(&String::from_utf8_lossy(&request));
        let said = done.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        let mut reply = said.into_bytes();
        reply.resize(400, 0);
        client.write_all(&reply)?;
    }
}

impl Floor {
    fn answer(&mut self, request: &str) -> io::Result<()> {
        let mut words = request.lines();
        let mut word = || words.next().unwrap_or_default();
        match (word(), word(), word()) {
            ("ADD", id, netns) => self.add(id, netns),
            ("DEL", id, _) => self.del(id),
            _ => Err(io::Error::other("neither ADD nor DEL")),
        }
    }

    fn add(&mut self, id: &str, netns: &str) -> io::Result<()> {
        self.made += 1;
        let index = INDEX + self.made;
        let address = Ipv4Addr::from_bits(self.first.to_bits() + self.made);
        let name = format!("eni{:011x}", self.made);
        let [a, b, c, d] = address.octets();
        let (host_mac, pod_mac) = ([2, 0, a, b, c, d], [2, 1, a, b, c, d]);
        let netns = File::open(netns)?;
        // ip link add NAME up ... type veth peer eth0 netns POD: both ends in one message, the pod's where it will live
        let end = |name: &str, mac: &[u8]| {
            let (mtu, one) = (MTU.to_ne_bytes(), 1_u32.to_ne_bytes());
            let named = [attribute(3, name.as_bytes()), attribute(1, mac)];
            let sized = [attribute(4, &mtu), attribute(31, &one), attribute(32, &one)];
            [named.concat(), sized.concat()].concat()
        };
        let inside = attribute(28, &netns.as_raw_fd().to_ne_bytes());
        let peer = [link(INDEX, NOTHING), end("eth0", &pod_mac), inside].concat();
        let veth = [attribute(1, b"veth"), attribute(2, &attribute(1, &peer))].concat();
        let host = [link(index, UP), end(&name, &host_mac)].concat();
        let mut create = Batch::default();
        create.request(NEWLINK, CREATE_EXCL, &host);
        create.with(27, &GROUP.to_ne_bytes()).with(18, &veth);
        create.send(&self.netlink)?;
        // before the pod can send: it must not become the node's IPv6 router
        fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1")?;
        setns(&netns, CloneFlags::CLONE_NEWNET)?;
        let pod = netlink::open();
        setns(&self.home, CloneFlags::CLONE_NEWNET)?;
        inside_pod(address, &host_mac).send(&pod?)?;
        // ip route add ADDRESS dev NAME table 20512
        let mut lead = Batch::default();
        lead.request(NEWROUTE, CREATE_EXCL, &route(32, 0, BOOT, 253));
        to_pod(&mut lead, address, index).send(&self.netlink)?;
        self.pods.insert(id.to_owned(), (index, address));
        Ok(())
    }

    /// What is needed before the answer; the link goes later.
    fn del(&mut self, id: &str) -> io::Result<()> {
        let Some((index, address)) = self.pods.remove(id) else {
            return Ok(());
        };
        let mut batch = Batch::default();
        // ip route delete ADDRESS dev NAME table 20512
        batch.request(DELROUTE, 0, &route(32, 0, 0, 255));
        to_pod(&mut batch, address, index);
        // ip link set NAME group 6999
        batch.request(SETLINK, 0, &link(index, NOTHING));
        batch.with(27, &DOOMED.to_ne_bytes()).send(&self.netlink)?;
        self.is_doomed = true;
        Ok(())
    }

    /// `ip link delete group 6999`
    fn reap(&mut self) -> io::Result<()> {
        self.is_doomed = false;
        let mut batch = Batch::default();
        batch.request(DELLINK, 0, &link(0, NOTHING));
        let gone = batch.with(27, &DOOMED.to_ne_bytes()).send(&self.netlink);
        // none left: the pods' namespaces went first
        match gone {
            Err(error) if error.raw_os_error() != Some(19) => Err(error),
            _ => Ok(()),
        }
    }
}

/// The pod's end up, its address, the way out, and who answers for the gateway.
fn inside_pod(address: Ipv4Addr, host_mac: &[u8]) -> Batch {
    let (mut batch, address, index) = (Batch::default(), address.octets(), INDEX.to_ne_bytes());
    // ip link set eth0 up
    batch.request(SETLINK, 0, &link(INDEX, UP));
    // ip address add ADDRESS/32 dev eth0 noprefixroute
    batch.request(NEWADDR, CREATE_EXCL, &[[2, 32, 0, 0], index].concat());
    batch.with(2, &address).with(1, &address).with(8, &NOPREFIX);
    // ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1
    batch.request(NEWROUTE, CREATE_EXCL, &route(32, MAIN, BOOT, 253));
    batch.with(4, &index).with(1, &GATEWAY);
    batch.request(NEWROUTE, CREATE_EXCL, &route(0, MAIN, BOOT, 0));
    batch.with(4, &index).with(5, &GATEWAY);
    // ip neighbour replace 169.254.1.1 lladdr MAC dev eth0 nud permanent
    let permanent = [[2, 0, 0, 0], index, [0x80, 0, 0, 0]].concat();
    batch.request(NEWNEIGH, CREATE_REPLACE, &permanent);
    batch.with(1, &GATEWAY).with(2, host_mac);
    batch
}

fn to_pod(batch: &mut Batch, address: Ipv4Addr, index: u32) -> &mut Batch {
    batch.with(15, &TABLE.to_ne_bytes());
    batch.with(4, &index.to_ne_bytes());
    batch.with(1, &address.octets())
}

/// What a message about a link begins with (`ifinfomsg`).
fn link(index: u32, up: [u8; 4]) -> Vec<u8> {
    [NOTHING, index.to_ne_bytes(), up, up].concat()
}

/// What a message about an IPv4 unicast route begins with (`rtmsg`).
fn route(length: u8, table: u8, protocol: u8, scope: u8) -> [u8; 12] {
    [2, length, 0, 0, table, protocol, scope, 1, 0, 0, 0, 0]
}
