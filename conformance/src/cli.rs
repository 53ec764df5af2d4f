//! The program's arguments, and what is done with them.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use conformance::case::{Level, Mode};
use conformance::catalog;
use conformance::expectation::Expectations;
use conformance::interrupt;
use conformance::report::progress::Progress;
use conformance::report::{self, Format, list};
use conformance::runtime::conflist::Version;
use conformance::session::{Outcome, Session};
use conformance::subject::{Description, Subject, versions_of};

/// Tests whether a CNI plugin does what the specification and the runtimes demand.
#[derive(Debug, Parser)]
#[command(name = "conformance", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  conformance run --plugin /usr/lib/cni/ptp --conf ptp.conf
  conformance run --plugin /usr/lib/cni/portmap --conf chain.conflist --only results --cni-version 1.0.0
  conformance run --plugin ./my-cni --conf my.conf --format junit > report.xml
  conformance list --untestable

The plugin is executed as root in network namespaces that the suite makes and removes; nothing of the machine's own
network is touched unless --host says so.";

const HOW: &str = "\
A configuration that keeps a plugin's files in the directory of the case, and what it cannot say of the plugin:
  my.conf  {\"name\": \"mine\", \"type\": \"ptp\", \"ipam\": {\"type\": \"host-local\", \"subnet\": \"10.90.0.0/24\",
             \"dataDir\": \"@dir@/ipam\"}}
  my.json  {\"held\": [\"/bin/sh\", \"-c\", \"ls @dir@/ipam/mine | grep ^10 || true\"], \"malformed\": [{\"mtu\": \"much\"}]}

  conformance run --plugin /usr/lib/cni/ptp --conf my.conf --description my.json --jobs 4
  conformance run --plugin /usr/lib/cni/ptp --conf my.conf --only del::netns_gone --fail-fast
  conformance run --plugin /usr/lib/cni/ptp --conf my.conf --expect known.json
  known.json  [{\"case\": \"del::foreign_interface\", \"reason\": \"it deletes by name\"}]

A case that needs what the description does not say is skipped, with that reason. What failed stands last in the report:
the rule, the version and mode, and the plugin's answer. docs/conformance.md says more.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the cases against a plugin; exit status 1 if one failed, 2 if they could not be run
    #[command(after_help = HOW)]
    Run(Box<Run>),
    /// List the cases, or what no case can try
    List(List),
}

#[derive(Debug, Args)]
struct Run {
    /// The plugin's binary
    #[arg(long)]
    plugin: PathBuf,
    /// Its configuration: a plugin's own (.conf), or a list (.conflist) with an entry whose type is the binary's name. The
    /// plugins before it in a list make its prevResult. `@dir@` in a text becomes a directory of the case
    #[arg(long)]
    conf: PathBuf,
    /// A further list in which the plugin stands, for the cases of the group `chain`; may be repeated
    #[arg(long = "list", value_name = "CONFLIST")]
    lists: Vec<PathBuf>,
    /// What else is to be said of the plugin, as JSON: modes, cni_path, declines, daemon, held (docs/conformance.md)
    #[arg(long, value_name = "FILE")]
    description: Option<PathBuf>,
    /// Only this: a group, `group::case`, or an assertion such as E03; may be repeated
    #[arg(long, value_name = "GROUP::CASE")]
    only: Vec<String>,
    /// Only in this version; may be repeated. By default in those that the plugin names when it is asked
    #[arg(long = "cni-version", value_name = "V")]
    versions: Vec<String>,
    /// Only first in the list (creating) or only behind others (chained). By default as the configuration shows
    #[arg(long = "mode")]
    modes: Vec<Mode>,
    /// Leave out rules that weigh less than this
    #[arg(long, default_value = "ours")]
    level: Level,
    /// Known failures, as JSON: [{"case", "reason", "versions"?, "modes"?}]. One that passes is an error
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Run the plugin in this network namespace instead of a new one for each case. Repeated, cases are tried at once, one
    /// in each; `@host@` in a text of the configuration or of the description becomes the namespace's name
    #[arg(long = "host", value_name = "NETNS")]
    hosts: Vec<PathBuf>,
    /// How many cases to try at once, each in a namespace of its own. Only for plugins that keep nothing but what the
    /// configuration puts below `@dir@`
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "hosts")]
    jobs: NonZeroUsize,
    /// Stop at the first failure
    #[arg(long)]
    fail_fast: bool,
    /// Form of the report
    #[arg(long, default_value = "text")]
    format: Format,
    /// Write the JSON report into this file besides
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct List {
    /// What cannot be tried from outside of a plugin, with the reasons, instead of the cases
    #[arg(long)]
    untestable: bool,
    /// The assertions of the checklist with the cases that try them, as text
    #[arg(long, conflicts_with_all = ["untestable", "format"])]
    assertions: bool,
    /// Form of the list: text or json
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn perform(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(run) => run.perform(),
            Command::List(list) => list.perform(),
        }
    }
}

impl Run {
    fn perform(self) -> anyhow::Result<ExitCode> {
        interrupt::heed().context("cannot take signals")?;
        let session = self.session()?;
        let planned = session.plan(&catalog::cases())?;
        ensure!(
            !planned.is_empty(),
            "nothing to run: no case is for these versions and modes"
        );
        let cannot = |path: &Path| format!("cannot write {}", path.display());
        // before the runs: they take minutes
        let json = self.json.as_deref().map(|path| (path, File::create(path)));
        let json = match json {
            Some((path, file)) => Some((path, file.with_context(|| cannot(path))?)),
            None => None,
        };
        let mut progress = Progress::new(planned.len());
        let records = session.run(&planned, |record| progress.tell(record))?;
        let plugin = session.subject.binary.display().to_string();
        heard(report::write(
            self.format,
            &plugin,
            &records,
            &mut io::stdout().lock(),
        ))?;
        if let Some((path, mut file)) = json {
            report::write(Format::Json, &plugin, &records, &mut file)
                .with_context(|| cannot(path))?;
        }
        ensure!(
            !interrupt::is_asked(),
            "interrupted after {} of {} runs",
            records.len(),
            planned.len()
        );
        let failed = report::count(&records, Outcome::Failed) > 0;
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    fn session(&self) -> anyhow::Result<Session> {
        let description = self
            .description
            .as_deref()
            .map(Description::load)
            .transpose()?;
        let mut subject = Subject::load(&self.plugin, &self.conf, description.unwrap_or_default())?;
        for list in &self.lists {
            subject.add_list(list)?;
        }
        subject.ask_all()?;
        let named = |name: &String| {
            let known = Version::ALL.map(Version::as_str).join(", ");
            Version::named(name).with_context(|| {
                format!("there are no cases for version {name:?}, only for {known}")
            })
        };
        let mut versions = self
            .versions
            .iter()
            .map(named)
            .collect::<anyhow::Result<Vec<_>>>()?;
        versions.sort();
        versions.dedup();
        if versions.is_empty() {
            versions = versions_of(&subject.binary)?;
        }
        if versions.is_empty() {
            // one that does not say what it speaks is tried in all
            versions = Version::ALL.to_vec();
        }
        let modes = if self.modes.is_empty() {
            subject.modes()?
        } else {
            self.modes.clone()
        };
        let expected = self.expect.as_deref().map(Expectations::load).transpose()?;
        Ok(Session {
            subject,
            only: self.only.clone(),
            level: self.level,
            versions,
            modes,
            expected: expected.unwrap_or_default(),
            hosts: self.hosts.clone(),
            jobs: self.jobs,
            fail_fast: self.fail_fast,
        })
    }
}

/// What came of writing to stdout. That nobody reads it any more (`| head`) is no error: who wanted to know knows.
fn heard(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

impl List {
    fn perform(self) -> anyhow::Result<ExitCode> {
        heard(self.write(&mut io::stdout().lock()))?;
        Ok(ExitCode::SUCCESS)
    }

    fn write(&self, mut out: &mut impl Write) -> io::Result<()> {
        let cases = catalog::cases();
        let text = self.format == "text";
        if self.assertions {
            return list::by_assertion(&cases, &mut out);
        }
        match (self.untestable, text) {
            (false, true) => list::text(&cases, &mut out),
            (false, false) => writeln!(out, "{:#}", list::json(&cases)),
            (true, true) => list::untestable(catalog::UNTESTABLE, &mut out),
            (true, false) => writeln!(out, "{:#}", list::untestable_json(catalog::UNTESTABLE)),
        }
    }
}
