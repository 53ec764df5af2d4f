//! Says what is running: bars on a terminal, else a line for each run that is done. All of it on stderr, so that the tables
//! can be piped away.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Steps of a run's bar.
const STEPS: u64 = 1000;

/// How far everything is.
pub struct Progress {
    bars: Option<MultiProgress>,
    all: ProgressBar,
    done: AtomicUsize,
    count: usize,
}

/// How far a run is.
pub struct Running {
    name: String,
    bar: ProgressBar,
}

impl Running {
    /// So much of it is done, 0 to 1.
    pub fn reached(&self, share: f64) {
        self.bar.set_position((share * STEPS as f64) as u64);
    }
}

impl Progress {
    /// Of `count` runs.
    pub fn of(count: usize) -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        let all = match &bars {
            Some(bars) => {
                let style = style("{pos:>5}/{len} runs {wide_bar} {elapsed} of about {duration}");
                bars.add(ProgressBar::new(count as u64).with_style(style))
            }
            None => ProgressBar::hidden(),
        };
        Self {
            bars,
            all,
            done: AtomicUsize::new(0),
            count,
        }
    }

    /// A run begins.
    pub fn begin(&self, name: String) -> Running {
        let bar = match &self.bars {
            Some(bars) => {
                let style = style("      {msg:<24} {wide_bar} {percent:>3} % {elapsed}");
                let bar = ProgressBar::new(STEPS)
                    .with_style(style)
                    .with_message(name.clone());
                bars.insert_before(&self.all, bar)
            }
            None => ProgressBar::hidden(),
        };
        Running { name, bar }
    }

    /// A run is done.
    pub fn end(&self, running: Running) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.bars.is_none() {
            let seconds = running.bar.elapsed().as_secs_f64();
            // A closed stderr is no reason to stop.
            let _ = writeln!(
                std::io::stderr(),
                "[{done}/{}] {} {seconds:.1} s",
                self.count,
                running.name
            );
        }
        running.bar.finish_and_clear();
        self.all.inc(1);
    }

    /// Everything is done; how long it took.
    pub fn finish(self) -> Duration {
        let took = self.all.elapsed();
        self.all.finish_and_clear();
        took
    }
}

/// A template that the tests know to be one.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
