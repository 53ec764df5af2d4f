//! What a run leaves: the tables on stdout, JSON, pictures, and Markdown where it is asked for.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use bench::record::Record;
use bench::report::{Form, picture, tables};
use bench::section::SECTIONS;

use super::cli::Cli;

/// Names the sections.
///
/// # Errors
/// Nobody reads.
pub fn list() -> anyhow::Result<()> {
    let mut out = io::stdout();
    for section in SECTIONS {
        writeln!(out, "{:<10} {}", section.name, section.about)?;
    }
    Ok(())
}

/// Writes all of it. `failed` is said last, and is in no file.
///
/// # Errors
/// A file cannot be written.
pub fn write(cli: &Cli, record: &Record, failed: &[String]) -> anyhow::Result<()> {
    let mut out = io::stdout();
    out.write_all(tables(record, Form::Plain).as_bytes())?;
    let json = serde_json::to_string_pretty(record)? + "\n";
    save(&cli.out, &json)?;
    if let Some(path) = &cli.markdown {
        save(path, &tables(record, Form::Markdown))?;
    }
    let pictures = cli.out.with_extension("");
    for (name, svg) in picture::all(record)? {
        save(&pictures.join(name), &svg)?;
    }
    for failure in failed {
        writeln!(out, "\nFAILED {failure}")?;
    }
    Ok(())
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
