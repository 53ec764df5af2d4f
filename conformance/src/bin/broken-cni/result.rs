//! The result of an ADD in the form of the configuration's version.

use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::ipam::Given;
use crate::prev::Prev;
use crate::rules::broken;

/// What an ADD did.
pub struct Attached<'a> {
    pub call: &'a Call,
    pub given: &'a Given,
    /// Whether a veth was made; else the address went to what was there.
    pub is_made: bool,
    pub mtu: u32,
}

impl Attached<'_> {
    /// The document behind `prev`'s.
    pub fn document(&self, prev: Option<Prev>) -> Value {
        let foreign = prev
            .as_ref()
            .map_or(0, |prev| prev.list("interfaces").len());
        let there = prev
            .as_ref()
            .and_then(|prev| prev.index_in_sandbox(&self.call.key.ifname));
        let mut document = prev.map(|prev| prev.0).unwrap_or_default();
        if broken("prev-dropped") {
            document.clear();
        }
        rearrange(&mut document);
        let own = if self.is_made {
            self.interfaces()
        } else {
            Vec::new()
        };
        let at = there.unwrap_or((foreign + own.len()).saturating_sub(1));
        self.families(&mut document);
        extend(&mut document, "interfaces", own);
        extend(&mut document, "ips", self.ips(at));
        let routes = self.given.routes.clone();
        extend(
            &mut document,
            "routes",
            if self.is_made {
                self.routes(routes)
            } else {
                Vec::new()
            },
        );
        if let Some(dns) = &self.given.dns {
            document.insert("dns".to_owned(), dns.clone());
        }
        let version = self.call.conf.version.as_str();
        let version = if broken("result-newest") {
            "1.1.0"
        } else {
            version
        };
        let unversioned = there.is_some() && !document.contains_key("cniVersion");
        document.insert("cniVersion".to_owned(), json!(version));
        if unversioned && broken("result-unversioned-behind") {
            document.remove("cniVersion");
        }
        self.spoil(&mut document);
        Value::Object(document)
    }

    /// What must not be done with the whole.
    fn spoil(&self, document: &mut Map<String, Value>) {
        if broken("dns-servers") {
            document.insert("dns".to_owned(), json!({"servers": ["192.0.2.53"]}));
        }
        if broken("result-own-member") {
            document.insert("broken".to_owned(), json!("state"));
        }
        if broken("result-unversioned") {
            document.remove("cniVersion");
        }
        if broken("ips-reversed")
            && let Some(Value::Array(ips)) = document.get_mut("ips")
        {
            ips.reverse();
        }
        if broken("own-first")
            && let Some(Value::Array(ips)) = document.get_mut("ips")
        {
            ips.rotate_right(self.given.ips.len());
        }
    }

    fn interfaces(&self) -> Vec<Value> {
        let Call {
            environment,
            key,
            conf,
            ..
        } = self.call;
        let name = if broken("host-misnamed") {
            "veth0".to_owned()
        } else {
            key.host_ifname()
        };
        let mut host = json!({"name": name, "mac": key.mac("host")});
        if broken("host-in-sandbox") {
            host["sandbox"] = json!(environment.netns);
        }
        let pod_name = match () {
            () if broken("interface-unnamed") => "pod0",
            () if broken("interface-eth0") || broken("result-says-eth0") => "eth0",
            () => &key.ifname,
        };
        let mac = key.mac(if broken("mac-wrong") { "other" } else { "pod" });
        let mut pod = json!({"name": pod_name, "mac": mac});
        let resolved = std::fs::canonicalize(&environment.netns).unwrap_or_default();
        if broken("sandbox-resolved") {
            pod["sandbox"] = json!(resolved);
        } else if broken("sandbox-shortened") {
            pod["sandbox"] = json!(environment.netns.replace("//", "/"));
        } else if !broken("sandbox-missing") {
            pod["sandbox"] = json!(environment.netns);
        }
        if conf.version == "1.1.0" || broken("result-mtu-early") {
            pod["mtu"] = json!(self.mtu);
        }
        if broken("pci-empty") {
            pod["pciID"] = json!("");
        }
        if broken("host-unlisted") {
            vec![pod]
        } else {
            vec![host, pod]
        }
    }

    fn ips(&self, at: usize) -> Vec<Value> {
        let at = match () {
            () if broken("index-beyond") => at + 1,
            () if broken("index-host") || broken("index-host-behind") => at.saturating_sub(1),
            () => at,
        };
        let dress = |ip: &Value| {
            let mut ip = ip.clone();
            if broken("ipam-gateway-lost")
                && let Some(ip) = ip.as_object_mut()
            {
                ip.remove("gateway");
            }
            if !broken("ipam-index-unset") {
                ip["interface"] = json!(at);
            }
            let address = ip["address"].as_str().unwrap_or_default().to_owned();
            self.family(&mut ip);
            if broken("address-no-cidr") {
                ip["address"] = json!(address.split('/').next());
            }
            if broken("address-network") {
                let bytes = address.rsplit_once('.').map_or("10.99.0", |(net, _)| net);
                ip["address"] = json!(format!("{bytes}.0/24"));
            }
            ip
        };
        self.given.ips.iter().map(dress).collect()
    }

    fn routes(&self, mut routes: Vec<Value>) -> Vec<Value> {
        if broken("route-no-cidr") {
            routes
                .iter_mut()
                .for_each(|route| route["dst"] = json!("default"));
        }
        if broken("route-other-table") {
            routes
                .iter_mut()
                .for_each(|route| route["table"] = json!(100));
        }
        routes
    }

    /// `version` of an address is demanded before 1.0.0 and unknown since.
    fn families(&self, document: &mut Map<String, Value>) {
        if broken("prev-sandbox-resolved") {
            resolve(document);
        }
        if broken("prev-reordered")
            && let Some(Value::Array(interfaces)) = document.get_mut("interfaces")
        {
            interfaces.reverse();
        }
        let Some(Value::Array(ips)) = document.get_mut("ips") else {
            return;
        };
        for ip in ips {
            self.family(ip);
            if broken("prev-foreign-index")
                && let Some(index) = ip["interface"].as_u64()
            {
                ip["interface"] = json!(index + 1);
            }
            if broken("index-invented") && ip["interface"].is_null() {
                ip["interface"] = json!(0);
            }
        }
    }

    fn family(&self, ip: &mut Value) {
        let is_old = self.call.conf.version.starts_with("0.");
        let is_shown = (is_old && !broken("family-missing")) || broken("family-kept");
        let Some(ip) = ip.as_object_mut() else {
            return;
        };
        let is_v6 = ip["address"]
            .as_str()
            .is_some_and(|address| address.contains(':'));
        ip.remove("version");
        if is_shown {
            ip.insert("version".to_owned(), json!(if is_v6 { "6" } else { "4" }));
        }
    }
}

/// What must not be done with the lists of those before.
fn rearrange(document: &mut Map<String, Value>) {
    for (rule, key) in [
        ("prev-routes-dropped", "routes"),
        ("prev-dns-dropped", "dns"),
    ] {
        if broken(rule) {
            document.remove(key);
        }
    }
    let mut routes = entries(document, "routes");
    if broken("prev-routes-sorted") {
        routes.sort_by_key(|route| route["dst"].to_string());
    }
    if broken("prev-members-dropped") {
        for route in routes.iter_mut().filter_map(Value::as_object_mut) {
            route.retain(|member, _| member == "dst" || member == "gw");
        }
    }
    if !routes.is_empty() {
        document.insert("routes".to_owned(), routes.into());
    }
    if let Some(Value::Array(ips)) = document.get_mut("ips")
        && broken("index-null")
    {
        for ip in ips {
            ip["interface"] = ip["interface"].clone();
        }
    }
}

/// Has the interfaces' sandboxes by the paths that symbolic links lead to.
fn resolve(document: &mut Map<String, Value>) {
    let interfaces = document.get_mut("interfaces").and_then(Value::as_array_mut);
    for interface in interfaces.into_iter().flatten() {
        let sandbox = interface["sandbox"].as_str().unwrap_or_default();
        if let Ok(path) = std::fs::canonicalize(sandbox) {
            interface["sandbox"] = json!(path);
        }
    }
}

/// What stands under `key`, taken out.
fn entries(document: &mut Map<String, Value>, key: &str) -> Vec<Value> {
    match document.remove(key) {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    }
}

/// Appends to a list, made if it is absent or `null`.
fn extend(document: &mut Map<String, Value>, key: &str, entries: Vec<Value>) {
    match document.get_mut(key) {
        Some(Value::Array(list)) => list.extend(entries),
        _ if entries.is_empty() => {}
        _ => drop(document.insert(key.to_owned(), Value::Array(entries))),
    }
}
