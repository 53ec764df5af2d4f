//! Writes what is kept: `fleet.json` and a picture of each workload.

use std::fs;
use std::path::Path;

use anyhow::Context;
use fleet::report::Cell;
use fleet::report::figures::ratio;
use fleet::report::picture::{Line, Picture};

use super::jobs::Made;

/// Writes `text` to `path`, and makes its directory.
///
/// # Errors
///
/// What the file system says.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Draws each of `made` into `directory`; how many pictures there are.
///
/// # Errors
///
/// What the file system says, or the drawing.
pub fn pictures(cells: &[Cell], made: &[Made], directory: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for made in made {
        let name = made
            .seeds
            .first()
            .map_or("", |(_, scenario)| &scenario.name);
        let of_it: Vec<_> = cells
            .iter()
            .filter(|cell| cell.row().workload == name)
            .collect();
        if of_it.is_empty() {
            continue;
        }
        let synthetic = if made.trace.as_deref() == Some("synthetic") {
            " (synthetic trace)"
        } else {
            ""
        };
        let lines = of_it.iter().map(|cell| Line {
            name: format!("{} {}", cell.row().policy, ratio(cell.row())),
            samples: &cell.run.samples,
        });
        let picture = Picture {
            title: format!("{name}: addresses held and used{synthetic}"),
            subtitle: format!(
                "{}. Beside the policies: held over used, averaged",
                made.about
            ),
            lines: lines.collect(),
            limit: None,
        };
        write(&directory.join(format!("{name}.svg")), &picture.svg()?)?;
        count += 1;
    }
    Ok(count)
}
