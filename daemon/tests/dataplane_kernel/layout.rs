//! A node with ENIs in a small VPC, and the desired data that the daemon would have of it.
//!
//! The VPC is a router namespace: it answers every ARP, knows by routes which address is on which ENI, and its strict
//! reverse-path filter is the source/dest check. 10.0.9.9 is another host of the VPC, 198.51.100.9 one outside, which
//! answers only the node's primary address.

use std::net::Ipv4Addr;

use berthd::dataplane::{Dataplane, KernelConfig, KernelDataplane, PodRemoval};
use ipam::desired::{self, NodeDesired, PodDesired};
use ipam::{
    Attachment, AttachmentKey, Eni, EniId, EniState, Mac, NetworkSettings, Ownership, PodName,
    Timestamp,
};

use crate::netns::Netns;

pub const VPC_HOST: &str = "10.0.9.9";
pub const INTERNET_HOST: &str = "198.51.100.9";

/// A node and its VPC.
pub struct Node {
    pub test: &'static str,
    pub netns: Netns,
    pub vpc: Netns,
    pub settings: NetworkSettings,
}

impl Node {
    /// A node with its primary ENI `eth0`, set up as an operating system does.
    pub fn new(test: &'static str) -> Option<Self> {
        let node = Self {
            test,
            netns: Netns::new(test, "node")?,
            vpc: Netns::new(test, "vpc")?,
            settings: NetworkSettings {
                eni_mtu: 9001,
                pod_mtu: 8950,
                ..NetworkSettings::default()
            },
        };
        node.vpc.sh(&format!(
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1 && \
             for address in 10.0.1.1 {VPC_HOST} {INTERNET_HOST}; do ip address add $address/32 dev lo; done"
        ));
        node.attach(0);
        let primary = primary_address(0);
        node.netns.sh(&format!(
            "ip link set eth0 up && ip address add {primary}/24 dev eth0 && \
             ip route add default via 10.0.1.1"
        ));
        Some(node)
    }

    /// AttachNetworkInterface: a link appears on the node, down and without an address.
    pub fn attach(&self, device: u32) {
        let (mac, name) = (eni(device).mac, self.netns.name());
        self.vpc.sh(&format!(
            "ip link add eni{device} type veth peer name eth{device} address {mac} mtu 9001 netns {name} && \
             ip link set eni{device} mtu 9001 up && \
             sysctl -qw net.ipv4.conf.eni{device}.proxy_arp=1 net.ipv4.conf.eni{device}.rp_filter=1 \
                net.ipv4.neigh.eni{device}.proxy_delay=0"
        ));
        self.assign(device, primary_address(device));
    }

    /// AssignPrivateIpAddresses.
    pub fn assign(&self, device: u32, address: Ipv4Addr) {
        let mac = eni(device).mac;
        self.vpc.sh(&format!(
            "ip route replace {address}/32 dev eni{device} && \
             ip neighbour replace {address} lladdr {mac} dev eni{device} nud permanent"
        ));
    }

    /// The layout of this node with these ENIs.
    pub fn desired(&self, devices: &[u32]) -> NodeDesired {
        let enis: Vec<Eni> = devices.iter().map(|device| eni(*device)).collect();
        let vpc = ["10.0.0.0/16".parse().unwrap()];
        desired::node(&enis, [], &vpc, &self.settings).unwrap()
    }

    /// A pod of this node on one of its ENIs, and the namespace that the runtime made for it.
    pub fn pod(&self, name: &str, device: u32, host_number: u8) -> Pod {
        let address = Ipv4Addr::new(10, 0, 1, host_number);
        self.assign(device, address);
        Pod {
            netns: Netns::new(self.test, name).unwrap(),
            desired: self.pod_desired(name, name, device, address),
        }
    }

    pub fn pod_desired(
        &self,
        name: &str,
        container: &str,
        device: u32,
        address: Ipv4Addr,
    ) -> PodDesired {
        let eni = eni(device);
        let key = AttachmentKey {
            network: "aws-cni".into(),
            container_id: format!("{}-{container}", self.test),
            ifname: "eth0".into(),
        };
        let attachment = Attachment {
            pod: Some(PodName {
                namespace: "default".into(),
                name: name.into(),
                uid: None,
            }),
            invocation: "1".into(),
            ..Attachment::bare(key, address, eni.id.clone(), Timestamp::default())
        };
        desired::pod(&attachment, &eni, &self.settings)
    }

    /// Lays the node out with these ENIs and makes a pod.
    pub fn set_up(&self, devices: &[u32], pod: &Pod) {
        self.netns.enter(async || {
            let plane = start();
            plane.apply_node(&self.desired(devices)).await.unwrap();
            plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        });
    }

    /// The text of the nftables table.
    pub fn nft(&self) -> String {
        self.netns.sh("nft -s list table ip berth")
    }
}

/// A pod's namespace and what should be in it.
pub struct Pod {
    pub netns: Netns,
    pub desired: PodDesired,
}

impl Pod {
    pub fn removal(&self) -> PodRemoval {
        removal(&self.desired)
    }
}

pub fn removal(desired: &PodDesired) -> PodRemoval {
    PodRemoval {
        alias: desired.alias.clone(),
        host_ifindex: None,
        interface: desired.interface,
        ifname: desired.ifname.clone(),
        address: desired.address,
    }
}

/// The primary address of the ENI with a device index.
pub fn primary_address(device: u32) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, 10 + u8::try_from(device).unwrap())
}

/// The ENI with a device index: 10.0.1.10, 10.0.1.11 and so on.
pub fn eni(device: u32) -> Eni {
    let octet = u8::try_from(device).unwrap();
    Eni {
        id: EniId(format!("eni-{device}")),
        mac: Mac([0x0a, 0x58, 0, 0, 0, octet]),
        device_index: device,
        primary_address: Some(primary_address(device)),
        subnet: "10.0.1.0/24".parse().ok(),
        ownership: if device == 0 {
            Ownership::Primary
        } else {
            Ownership::Ours
        },
        state: EniState::Ready {
            since: Timestamp::default(),
        },
        attachment_id: None,
        delete_on_termination: true,
        learned: Timestamp::default(),
        missed: None,
    }
}

/// The dataplane of the namespace that the calling thread is in.
pub fn start() -> KernelDataplane {
    KernelDataplane::start(KernelConfig::default()).unwrap()
}
