//! Which rule is broken: one name from the command line, for the whole process.

use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;

static BROKEN: OnceLock<String> = OnceLock::new();

/// What the command line asks for.
pub enum Choice {
    /// To be a plugin.
    Call,
    /// The names.
    List,
    /// No such thing; says so.
    Unknown(String),
}

/// Whether this is the rule that this process breaks.
pub fn broken(rule: &str) -> bool {
    BROKEN.get().is_some_and(|broken| broken == rule)
}

/// Reads `--break RULE` or `--rules`; a runtime gives no arguments.
pub fn choose(mut arguments: impl Iterator<Item = String>) -> Choice {
    match arguments.next().as_deref() {
        None => Choice::Call,
        Some("--rules") => Choice::List,
        Some("--break") => {
            let rule = arguments.next().unwrap_or_default();
            if RULES.iter().all(|(name, ..)| *name != rule) {
                return Choice::Unknown(format!("no such rule: {rule}"));
            }
            let _ = BROKEN.set(rule);
            Choice::Call
        }
        Some(other) => Choice::Unknown(format!("{other} is neither --break nor --rules")),
    }
}

/// One line a rule: its name, the assertion it breaks, how.
pub fn list() -> ExitCode {
    let mut out = std::io::stdout().lock();
    for (name, assertion, how) in RULES {
        if writeln!(out, "{name}\t{assertion}\t{how}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Name, assertion, what is done wrong.
const RULES: &[(&str, &str, &str)] = &[
    // environment
    (
        "command-unset-succeeds",
        "E01",
        "no CNI_COMMAND: a result and status 0",
    ),
    (
        "command-unset-other-code",
        "E01",
        "no CNI_COMMAND: another code than 4",
    ),
    (
        "unknown-command-succeeds",
        "E02",
        "an unknown CNI_COMMAND is no error",
    ),
    ("command-any-case", "E02", "add is taken for ADD"),
    (
        "add-without-netns",
        "E03",
        "ADD and CHECK without CNI_NETNS are no error",
    ),
    (
        "add-without-containerid",
        "E03",
        "CNI_CONTAINERID is never required",
    ),
    ("add-without-ifname", "E03", "CNI_IFNAME is never required"),
    ("del-requires-netns", "E03", "DEL without CNI_NETNS fails"),
    ("gc-without-path", "E03", "GC without CNI_PATH is no error"),
    ("gc-requires-container", "E03", "GC wants a container"),
    (
        "status-requires-container",
        "E03",
        "STATUS wants a container",
    ),
    (
        "missing-other-code",
        "E03",
        "missing variables have another code than 4",
    ),
    (
        "missing-only-first",
        "E04",
        "only the first missing variable is named",
    ),
    ("missing-unnamed", "E04", "missing variables are not named"),
    (
        "empty-is-set",
        "E05",
        "a variable that is set and empty counts",
    ),
    (
        "version-requires-env",
        "E06",
        "VERSION judges the container's variables",
    ),
    (
        "containerid-unchecked",
        "E07",
        "any CNI_CONTAINERID will do",
    ),
    (
        "containerid-first-unchecked",
        "E07",
        "CNI_CONTAINERID may start with anything",
    ),
    (
        "containerid-lower-only",
        "E07",
        "CNI_CONTAINERID must be lower case",
    ),
    (
        "containerid-64-at-most",
        "E07",
        "CNI_CONTAINERID of more than 64 bytes is refused",
    ),
    (
        "containerid-2-at-least",
        "E07",
        "CNI_CONTAINERID of one byte is refused",
    ),
    (
        "containerid-value-untold",
        "E07",
        "a bad CNI_CONTAINERID is not told",
    ),
    ("ifname-unchecked", "E08", "any CNI_IFNAME will do"),
    (
        "ifname-length-unchecked",
        "E08",
        "CNI_IFNAME of 16 bytes is cut",
    ),
    (
        "ifname-14-at-most",
        "E08",
        "CNI_IFNAME of 15 bytes is refused",
    ),
    (
        "ifname-chars",
        "E08",
        "the limit of CNI_IFNAME counts characters, not bytes",
    ),
    (
        "unneeded-checked",
        "E09",
        "CNI_IFNAME is judged for verbs without one",
    ),
    (
        "ifname-replaced",
        "E10",
        "where CNI_IFNAME is taken another name is chosen",
    ),
    (
        "sandbox-resolved",
        "E11",
        "the result's sandbox is CNI_NETNS resolved",
    ),
    (
        "netns-by-name-only",
        "E11",
        "CNI_NETNS must lie in /run/netns",
    ),
    (
        "own-netns-allowed",
        "E12",
        "CNI_NETNS may be the plugin's own",
    ),
    (
        "own-netns-after",
        "E13",
        "the plugin's own namespace is refused after the work",
    ),
    (
        "own-netns-override-ignored",
        "E12",
        "CNI_NETNS_OVERRIDE changes nothing",
    ),
    (
        "args-unknown-refused",
        "E14",
        "unknown keys in CNI_ARGS are refused",
    ),
    (
        "args-order",
        "E14",
        "CNI_ARGS must start with IgnoreUnknown",
    ),
    (
        "args-malformed-accepted",
        "E14",
        "ADD takes malformed CNI_ARGS",
    ),
    (
        "args-malformed-fails-del",
        "E14",
        "DEL refuses malformed CNI_ARGS",
    ),
    ("args-absent-refused", "E14", "ADD needs CNI_ARGS"),
    ("cni-args-win", "E15", "CNI_ARGS wins over args.cni"),
    (
        "path-first-only",
        "E16",
        "only the first directory of CNI_PATH is searched",
    ),
    ("ambient-log", "E17", "RUST_LOG makes it print to stdout"),
    ("ambient-proxy", "E17", "a proxy variable makes it fail"),
    (
        "not-utf8-panics",
        "E18",
        "a variable that is not UTF-8 ends it without an answer",
    ),
    // configuration
    (
        "stdin-not-object",
        "C01",
        "stdin may be another JSON value than an object",
    ),
    (
        "stdin-trailing",
        "C01",
        "what follows the object on stdin is ignored",
    ),
    ("stdin-garbage-7", "C02", "JSON errors have code 7"),
    ("stdin-garbage-succeeds", "C02", "JSON errors are no errors"),
    (
        "stdin-read-error-6",
        "C02",
        "stdin that cannot be read has code 6",
    ),
    ("name-missing", "C03", "a network without a name will do"),
    ("name-unchecked", "C03", "any name of a network will do"),
    ("stdin-64k", "C04", "only 64 KiB of stdin are read"),
    ("stdin-unlimited", "C04", "any amount of stdin is read"),
    (
        "depth-overflow",
        "C04",
        "deeply nested JSON ends it without an answer",
    ),
    (
        "unknown-keys-refused",
        "C05",
        "keys it does not know are refused",
    ),
    (
        "null-refused",
        "C06",
        "null for a well-known key is refused",
    ),
    ("empty-ipam-refused", "C06", "an empty ipam is refused"),
    (
        "capital-ports-refused",
        "C07",
        "port mappings must be in lower camel case",
    ),
    (
        "annotations-null-refused",
        "C08",
        "the capability with annotations must be a map",
    ),
    ("mtu-text-refused", "C09", "mtu must be a number"),
    ("own-field-unchecked", "C10", "mtu may be anything"),
    (
        "own-field-unnamed",
        "C10",
        "the error does not name the field",
    ),
    (
        "duplicate-keys-refused",
        "C11",
        "a key that comes twice is refused",
    ),
    ("bom-accepted", "C11", "a byte order mark is skipped"),
    // versions
    ("any-version", "V01", "any cniVersion will do"),
    (
        "version-range",
        "V01",
        "1.2.0 and 1.0 are taken for supported ones",
    ),
    (
        "version-other-code",
        "V01",
        "an unsupported cniVersion has code 7",
    ),
    (
        "version-undetailed",
        "V01",
        "the details of code 1 do not name both sides",
    ),
    (
        "version-missing",
        "V02",
        "a missing cniVersion means the newest",
    ),
    (
        "version-type",
        "V02",
        "a cniVersion that is no text is ignored",
    ),
    (
        "result-newest",
        "V03",
        "the result has the newest cniVersion, not the configuration's",
    ),
    ("result-unversioned", "V03", "the result has no cniVersion"),
    (
        "version-list-short",
        "V04",
        "1.0.0 is not among the supported versions",
    ),
    ("check-ungated", "V05", "CHECK is served below 0.4.0"),
    ("gc-ungated", "V05", "GC is served below 1.1.0"),
    ("status-ungated", "V05", "STATUS is served below 1.1.0"),
    (
        "stdin-before-env",
        "V06",
        "stdin is judged before the environment",
    ),
    (
        "version-before-name",
        "V06",
        "the version is judged before the name",
    ),
    // VERSION
    ("version-fails", "N01", "VERSION fails"),
    ("version-empty-list", "N01", "VERSION lists nothing"),
    (
        "version-needs-daemon",
        "N01",
        "VERSION fails without a daemon",
    ),
    (
        "version-needs-stdin",
        "N02",
        "VERSION fails on broken stdin",
    ),
    ("version-waits", "N02", "VERSION waits for the end of stdin"),
    (
        "version-shuffled",
        "N03",
        "VERSION lists in another order each time",
    ),
    ("version-unsorted", "N03", "VERSION lists the newest first"),
    (
        "version-unknown-text",
        "N04",
        "VERSION says what libcni takes for a plugin of 0.1.0",
    ),
    // ADD
    ("add-silent", "A01", "ADD prints nothing"),
    ("add-null", "A01", "ADD prints null"),
    ("add-exit-1", "A01", "ADD prints a result and fails"),
    (
        "add-makes-nothing",
        "A02",
        "ADD prints a result and makes nothing",
    ),
    (
        "add-takes-over",
        "A02",
        "an interface of that name is deleted",
    ),
    (
        "add-exists-ok",
        "A02",
        "an interface of that name is taken for ours",
    ),
    (
        "prev-dropped",
        "A03",
        "the earlier plugins' result is dropped",
    ),
    (
        "prev-suppressed",
        "A03",
        "behind other plugins nothing is printed",
    ),
    (
        "prev-reordered",
        "A04",
        "the earlier plugins' interfaces come behind ours",
    ),
    (
        "prev-index-kept",
        "A04",
        "our address has the index as if we were alone",
    ),
    (
        "prev-foreign-index",
        "A04",
        "the earlier plugins' indexes are moved",
    ),
    (
        "prev-routes-dropped",
        "A04",
        "the earlier plugins' routes are dropped",
    ),
    (
        "prev-dns-dropped",
        "A04",
        "the earlier plugins' dns is dropped",
    ),
    (
        "prev-unversioned-refused",
        "A06",
        "a prevResult without cniVersion is refused",
    ),
    (
        "prev-other-version",
        "A06",
        "a prevResult of another version will do",
    ),
    ("prev-unchecked", "A07", "a broken prevResult will do"),
    (
        "netns-unchecked",
        "A09",
        "a CNI_NETNS that is none is no error",
    ),
    (
        "netns-late",
        "A09",
        "an address is held when CNI_NETNS is none",
    ),
    ("no-undo", "A10", "what a failed ADD made stays"),
    (
        "add-twice",
        "A11",
        "a second ADD of an attachment makes it anew",
    ),
    (
        "add-never-again",
        "A11",
        "what a killed ADD left makes the next one fail",
    ),
    ("add-del-stuck", "A12", "DEL after a failed ADD fails"),
    (
        "route-exists-fails",
        "A13",
        "a default route that is there makes ADD fail",
    ),
    ("result-mtu-early", "A14", "mtu in a result before 1.1.0"),
    // results
    (
        "index-beyond",
        "R01",
        "the address points behind the last interface",
    ),
    ("index-host", "R01", "the address points to the host's side"),
    (
        "interface-unnamed",
        "R02",
        "the pod's interface has another name in the result",
    ),
    (
        "sandbox-missing",
        "R02",
        "the pod's interface has no sandbox in the result",
    ),
    (
        "host-in-sandbox",
        "R02",
        "the host's side has a sandbox in the result",
    ),
    (
        "host-unlisted",
        "R03",
        "the host's side is not in the result",
    ),
    (
        "host-misnamed",
        "R03",
        "the host's side has another name in the result",
    ),
    ("address-no-cidr", "R04", "the address has no prefix length"),
    (
        "address-network",
        "R04",
        "the address has its host bits cleared",
    ),
    ("route-no-cidr", "R04", "a route's dst is default"),
    (
        "empty-strings-refused",
        "R04",
        "empty texts in prevResult are refused",
    ),
    ("mac-wrong", "R05", "mac is not the link's"),
    ("mac-opaque-refused", "R05", "mac in prevResult must be one"),
    ("index-0-omitted", "R06", "the index 0 is left out"),
    (
        "index-invented",
        "R06",
        "a foreign address without an index gets one",
    ),
    ("family-missing", "R07", "ips have no version before 1.0.0"),
    ("family-kept", "R07", "ips have a version from 1.0.0 on"),
    (
        "ips-reversed",
        "R08",
        "the earlier plugins' addresses come in another order",
    ),
    // DEL
    ("del-keeps-link", "D01", "DEL leaves the link"),
    (
        "del-keeps-address",
        "D01",
        "DEL does not release the address",
    ),
    ("del-keeps-route", "D01", "DEL leaves a rule on the host"),
    ("del-gone-fails", "D01", "DEL fails where the link is gone"),
    ("del-once", "D02", "the second DEL fails"),
    ("del-unknown-fails", "D02", "DEL of what never was fails"),
    (
        "del-gone-netns-fails",
        "D03",
        "DEL fails where CNI_NETNS is gone",
    ),
    (
        "del-no-netns-leaks",
        "D03",
        "DEL without CNI_NETNS releases nothing",
    ),
    ("del-needs-prev", "D04", "DEL fails without prevResult"),
    (
        "del-by-prev",
        "D04",
        "DEL without prevResult releases nothing",
    ),
    (
        "del-broken-prev-fails",
        "D04",
        "DEL fails on a broken prevResult",
    ),
    (
        "del-stale-netns-fails",
        "D05",
        "DEL fails where CNI_NETNS is an ordinary file",
    ),
    (
        "del-stale-netns-leaks",
        "D05",
        "DEL releases nothing where CNI_NETNS is an ordinary file",
    ),
    (
        "del-by-ifname",
        "D06",
        "DEL deletes whatever has the name in CNI_NETNS",
    ),
    (
        "del-flushes",
        "D06",
        "DEL takes every address off an interface of that name",
    ),
    ("del-needs-daemon", "D07", "DEL fails without a daemon"),
    (
        "del-aws-node-fails",
        "D08",
        "DEL fails on what aws-node wrote",
    ),
    ("del-prints", "D10", "DEL prints a result"),
    ("del-not-found", "D12", "DEL's errors say: not found"),
    (
        "del-no-such-file",
        "D12",
        "DEL's errors say: no such file or directory",
    ),
    (
        "del-unvalidated",
        "D14",
        "DEL succeeds on a bad container id",
    ),
    ("del-garbage", "D14", "DEL succeeds on broken stdin"),
    // CHECK
    (
        "check-needs-no-prev",
        "K01",
        "CHECK passes without prevResult",
    ),
    (
        "check-prev-unchecked",
        "K01",
        "CHECK passes with a broken prevResult",
    ),
    ("check-blind", "K02", "CHECK passes whatever happened"),
    ("check-link-unseen", "K02", "CHECK passes without the link"),
    (
        "check-mac-unseen",
        "K02",
        "CHECK does not compare the MAC address",
    ),
    (
        "check-address-unseen",
        "K02",
        "CHECK does not compare addresses",
    ),
    (
        "check-prev-address-unseen",
        "K02",
        "CHECK does not look at prevResult's addresses",
    ),
    ("check-route-unseen", "K02", "CHECK does not compare routes"),
    (
        "check-mac-opaque-fails",
        "K02",
        "CHECK fails on a mac that is none",
    ),
    (
        "check-foreign-address-fails",
        "K03",
        "CHECK fails on addresses that others added",
    ),
    (
        "check-foreign-route-fails",
        "K03",
        "CHECK fails on routes that others added",
    ),
    (
        "check-mtu-fails",
        "K03",
        "CHECK fails when others changed the mtu",
    ),
    (
        "check-host-unseen",
        "K04",
        "CHECK does not look at the host's side",
    ),
    (
        "check-reservation-unseen",
        "K04",
        "CHECK does not look for the reservation",
    ),
    (
        "check-daemon-unseen",
        "K04",
        "CHECK passes without a daemon",
    ),
    ("check-late", "K05", "CHECK right after ADD fails"),
    (
        "check-any-sandbox",
        "K06",
        "prevResult may be of another sandbox",
    ),
    ("check-prints", "K07", "CHECK prints a result"),
    ("check-mends", "K07", "CHECK puts right what is wrong"),
    ("check-touches", "K07", "CHECK changes what is right"),
    (
        "check-ipam-unasked",
        "K08",
        "CHECK does not ask the IPAM plugin",
    ),
    ("check-hangs", "K10", "CHECK takes half a minute"),
    // STATUS
    (
        "status-always-well",
        "S01",
        "STATUS is well without a daemon",
    ),
    ("status-never-well", "S01", "STATUS is never well"),
    (
        "status-other-code",
        "S02",
        "STATUS fails with another code than 50 or 51",
    ),
    ("status-needs-prev", "S03", "STATUS wants prevResult"),
    ("add-needs-status", "S04", "ADD fails before a STATUS"),
    (
        "status-blocks-add",
        "S04",
        "ADD fails after a STATUS that failed",
    ),
    (
        "status-ipam-unasked",
        "S05",
        "STATUS does not ask the IPAM plugin",
    ),
    (
        "status-hangs",
        "S06",
        "STATUS waits for a daemon that hangs",
    ),
    (
        "status-takes-lock",
        "S06",
        "STATUS waits for the lock of ADD",
    ),
    ("status-prints", "S07", "STATUS prints when all is well"),
    // GC
    ("gc-nothing", "G01", "GC releases nothing"),
    ("gc-valid-too", "G01", "GC releases what is valid"),
    (
        "gc-other-networks",
        "G01",
        "GC releases what other networks have",
    ),
    (
        "gc-by-container",
        "G01",
        "GC keeps every ifname of a valid container",
    ),
    (
        "gc-keeps-link",
        "G01",
        "GC releases the address and leaves the link",
    ),
    (
        "gc-keeps-address",
        "G01",
        "GC deletes the link and leaves the address",
    ),
    (
        "gc-new-key-only",
        "G02",
        "GC does not know cni.dev/attachments",
    ),
    (
        "gc-old-key-only",
        "G02",
        "GC does not know cni.dev/valid-attachments",
    ),
    ("gc-null-refused", "G03", "GC refuses null"),
    ("gc-null-keeps", "G03", "GC releases nothing on null"),
    (
        "gc-empty-keeps",
        "G03",
        "GC releases nothing on an empty list",
    ),
    (
        "gc-absent-wipes",
        "G04",
        "GC without a list releases everything",
    ),
    ("gc-absent-succeeds", "G04", "GC without a list succeeds"),
    ("gc-ipam-unasked", "G06", "GC does not ask the IPAM plugin"),
    ("gc-prints", "G09", "GC prints"),
    // errors
    ("error-exit-0", "X01", "errors have status 0"),
    ("error-code-text", "X01", "code is a text"),
    ("error-code-negative", "X01", "code is negative"),
    ("error-no-version", "X01", "errors have no cniVersion"),
    ("error-no-msg", "X01", "errors have no msg"),
    (
        "error-newest-version",
        "X01",
        "errors have the newest cniVersion, not the configuration's",
    ),
    ("error-and-result", "X03", "an error comes behind a result"),
    ("error-on-stderr", "X04", "errors go to stderr"),
    ("error-plain", "X04", "errors are plain text"),
    ("error-many-lines", "X05", "msg has many lines"),
    // process
    ("stdout-log", "P01", "a line of log on stdout"),
    (
        "stdout-log-del",
        "P01",
        "a line of log on stdout, of DEL only",
    ),
    ("stderr-chatter", "P02", "a success says much on stderr"),
    (
        "child-stays",
        "P03",
        "a child that has stdout outlives the call",
    ),
    (
        "killed-add-leaks",
        "P04",
        "what a killed ADD made is nobody's",
    ),
    (
        "add-no-deadline",
        "P05",
        "ADD waits for a daemon that hangs for ever",
    ),
    (
        "closed-stdout-aborts",
        "P06",
        "a closed stdout ends it by a signal",
    ),
    (
        "unread-result-succeeds",
        "P06",
        "a result that nobody received is a success",
    ),
    ("needs-cwd", "P08", "it fails in an unreadable directory"),
    ("needs-home", "P08", "it fails without HOME"),
    ("needs-tools-path", "P08", "it fails without PATH"),
    // delegation
    (
        "ipam-first-dir-slash",
        "L01",
        "the IPAM plugin's name may be a path",
    ),
    (
        "ipam-conf-cut",
        "L01",
        "the IPAM plugin gets only its own part of the configuration",
    ),
    (
        "ipam-env-cut",
        "L01",
        "the IPAM plugin does not get CNI_ARGS",
    ),
    (
        "ipam-not-undone",
        "L02",
        "a failed ADD does not call the IPAM plugin's DEL",
    ),
    (
        "ipam-del-unasked",
        "L03",
        "DEL does not ask the IPAM plugin",
    ),
    (
        "ipam-del-error-lost",
        "D13",
        "the IPAM plugin's error of DEL is lost",
    ),
    (
        "ipam-add-error-lost",
        "L02",
        "the IPAM plugin's error of ADD is replaced by success",
    ),
    (
        "ipam-index-unset",
        "L04",
        "the IPAM plugin's addresses get no interface",
    ),
    // lifecycle
    ("no-lock", "Y01", "parallel ADDs do not wait for each other"),
    (
        "del-needs-conf",
        "Y03",
        "DEL needs the configuration that ADD had",
    ),
    (
        "state-any-network",
        "Y04",
        "attachments are told apart without the network",
    ),
    (
        "state-any-container",
        "Y04",
        "attachments are told apart by ifname only",
    ),
    (
        "state-any-ifname",
        "Y05",
        "attachments are told apart by container only",
    ),
];
