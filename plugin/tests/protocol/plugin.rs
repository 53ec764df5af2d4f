//! Starts `berth-cni` once, with nothing in its environment but what the test says.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::daemon::Place;

/// Longer than any deadline of the plugin: a call that takes this long hangs.
const HANG: Duration = Duration::from_secs(60);

pub const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// One call that has not been made yet.
pub struct Call {
    command: Command,
    stdin: Vec<u8>,
}

/// What came out of one.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// The plugin of `BERTH_BIN_DIR`, as it is installed, or the one that cargo built for tests, which starts by the standard
/// library.
fn program() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_berth-cni"));
    std::env::var_os("BERTH_BIN_DIR").map_or_else(built, |dir| Path::new(&dir).join("berth-cni"))
}

impl Call {
    /// A call with only CNI_COMMAND set, and nothing on stdin.
    #[allow(clippy::disallowed_methods, reason = "the program under test")]
    pub fn bare(verb: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program());
        command
            .env_clear()
            .env("CNI_COMMAND", verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            command,
            stdin: Vec::new(),
        }
    }

    /// A call with all variables set as libcni sets them, and the smallest configuration that reaches `place`.
    /// CNI_NETNS is a path that does not exist.
    pub fn new(verb: &str, place: &Place) -> Self {
        Self::bare(verb)
            .env("CNI_CONTAINERID", CONTAINER)
            .env("CNI_NETNS", "/run/netns/none")
            .env("CNI_IFNAME", "eth0")
            .env("CNI_ARGS", "")
            .env("CNI_PATH", "/opt/cni/bin")
            .config(&config(place))
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn netns(self, path: impl AsRef<OsStr>) -> Self {
        self.env("CNI_NETNS", path)
    }

    pub fn config(self, config: &Value) -> Self {
        self.stdin(config.to_string())
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub fn stdin_from(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    pub fn stdout_to(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// The same call, started by a line of a shell that has the plugin's path as `$0`.
    #[allow(clippy::disallowed_methods, reason = "the program under test")]
    pub fn by_shell(mut self, line: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).arg(program()).env_clear();
        for (name, value) in self.command.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command = shell;
        self
    }

    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Makes the call and waits for its end.
    pub fn run(mut self) -> Outcome {
        let mut child = self.command.spawn().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        let stdin = child.stdin.take();
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || {
            if let Some(mut stdin) = stdin {
                // The plugin may refuse before it has read everything.
                let _ = stdin.write_all(&self.stdin);
            }
            sender.send(child.wait_with_output())
        });
        let Ok(output) = ended.recv_timeout(HANG) else {
            kill(pid, Signal::SIGKILL).unwrap();
            panic!("berth-cni hangs");
        };
        let output = output.unwrap();
        Outcome {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Outcome {
    /// The result of a successful ADD or VERSION: one JSON document on one line.
    pub fn result(&self) -> Value {
        assert!(self.status.success(), "{self:?}");
        self.document()
    }

    /// A success that prints nothing at all.
    pub fn silent(&self) {
        assert!(self.status.success(), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr, "", "{self:?}");
    }

    /// The error of a failed call: exit status 1 and one error object, in the form that runtimes parse.
    pub fn error(&self) -> Value {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        let error = self.document();
        for key in error.as_object().unwrap().keys() {
            assert!(
                ["cniVersion", "code", "msg", "details"].contains(&key.as_str()),
                "{self:?}"
            );
        }
        assert!(
            error["code"].as_u64().is_some_and(|code| code > 0),
            "{self:?}"
        );
        assert!(
            error["msg"]
                .as_str()
                .is_some_and(|msg| !msg.is_empty() && !msg.contains('\n')),
            "{self:?}"
        );
        assert!(error["cniVersion"].is_string(), "{self:?}");
        error
    }

    /// The error, which must have that code and all these words in its texts.
    pub fn fails(&self, code: u64, words: &[&str]) -> Value {
        let error = self.error();
        assert_eq!(error["code"], code, "{self:?}");
        let text = format!(
            "{}; {}",
            error["msg"].as_str().unwrap(),
            error["details"].as_str().unwrap_or_default()
        );
        for word in words {
            assert!(text.contains(word), "{word:?} is not in {text:?}");
        }
        error
    }

    fn document(&self) -> Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "{self:?}");
        assert!(self.stdout.ends_with('\n'), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The smallest configuration that reaches `place`.
pub fn config(place: &Place) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "aws-cni",
        "type": "berth-cni",
        "socket": place.socket(),
        "tombstones": place.tombstones(),
    })
}

/// That configuration with these members set or replaced.
pub fn config_with(place: &Place, members: &Value) -> Value {
    let mut config = config(place);
    for (key, value) in members.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}
