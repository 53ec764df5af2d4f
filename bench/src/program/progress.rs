//! What is said on the way: a bar that moves on a terminal, elsewhere a line each time that something else begins.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar moves, and how often a line is looked for.
const TICK: Duration = Duration::from_millis(200);

/// Speaks until it is dropped.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    lines: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// The bar whose message the sections set.
    pub fn bar() -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} [{elapsed_precise}] {prefix} {msg}");
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
    }

    /// Begins to speak of `bar`.
    pub fn start(bar: ProgressBar) -> Self {
        let started = Instant::now();
        let lines = if std::io::stderr().is_terminal() {
            bar.enable_steady_tick(TICK);
            None
        } else {
            let (stop, stopped) = channel();
            let spoken = bar.clone();
            let speak = move || {
                let mut last = String::new();
                while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    let now = format!("{} {}", spoken.prefix(), spoken.message());
                    if now != last {
                        line(started, now.trim());
                        last = now;
                    }
                }
            };
            Some((stop, thread::spawn(speak)))
        };
        Self {
            bar,
            started,
            lines,
        }
    }

    /// Another section begins.
    pub fn section(&self, name: &'static str) {
        self.bar.set_prefix(name);
        self.bar.set_message("");
    }

    /// A line that stays.
    pub fn say(&self, what: &str) {
        self.bar.suspend(|| line(self.started, what));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if let Some((stop, thread)) = self.lines.take() {
            drop(stop);
            // it prints and nothing else
            let _ = thread.join();
        }
    }
}

fn line(started: Instant, what: &str) {
    eprintln!("[{:6.1}s] {what}", started.elapsed().as_secs_f64());
}
