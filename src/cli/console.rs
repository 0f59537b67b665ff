//! What is said on standard error: log lines, warnings, errors, progress.

use crate::error::Error;
use crate::fit::{FitProgress, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Steps of the progress bar.
const STEPS: u64 = 1000;

/// The user's terminal, or whatever standard error is.
pub(super) struct Console {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Console {
    /// Log lines of at least this importance go to standard error: warnings, with `-v` what is read and decided, with `-vv`
    /// everything.
    pub fn new(verbosity: u8) -> Self {
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {elapsed:>4}  {msg}") {
            bar.set_style(style);
        }
        let level = match verbosity {
            0 => Level::WARN,
            1 => Level::INFO,
            _ => Level::TRACE,
        };
        let is_terminal = io::stderr().is_terminal();
        let writer = bar.clone();
        // A second command in one process (tests) keeps the first one's log.
        let _ = tracing_subscriber::fmt()
            .with_max_level(level)
            .event_format(Lines)
            .with_writer(move || Above(writer.clone()))
            .try_init();
        Self { bar, is_terminal }
    }

    /// What a fit calls: a bar on a terminal, a line per stage elsewhere.
    pub fn progress(&self) -> FitProgress {
        let bar = self.bar.clone();
        if self.is_terminal {
            return Arc::new(move |stage, share, cost| {
                bar.set_message(if cost.is_finite() {
                    format!("{} (objective {cost:.1})", label(stage))
                } else {
                    label(stage).to_owned()
                });
                bar.set_position((share.clamp(0.0, 1.0) * STEPS as f64) as u64);
            });
        }
        let said: Mutex<Option<Stage>> = Mutex::new(None);
        Arc::new(move |stage, share, _| {
            // A poisoned lock means that a thread panicked while writing a line; progress is the least of its worries.
            let Ok(mut said) = said.lock() else { return };
            if said.replace(stage) != Some(stage) {
                complain(&format!("{:3.0} %  {}", 100.0 * share, label(stage)));
            }
        })
    }

    /// Takes the bar away.
    pub fn end_progress(&self) {
        self.bar.finish_and_clear();
    }

    /// A sentence the user should read.
    pub fn warn(&self, text: &str) {
        self.say("warning", text);
    }

    /// An error and its advice.
    pub fn error(&self, error: &Error) {
        self.end_progress();
        self.say("error", &error.to_string());
    }

    fn say(&self, kind: &str, text: &str) {
        self.bar.suspend(|| complain(&format!("{kind}: {}", printable(text))));
    }
}

/// Writes a line to standard error, where there is one.
pub(super) fn complain(line: &str) {
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes to standard output. A reader that has gone away (`| head`) is no error.
///
/// # Errors
/// [`Error::Input`] where it cannot be written for another reason, such as a full disk.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::input(
            "standard output",
            format_args!("cannot be written: {e}"),
            "look at where it is sent, such as a file on a full disk",
        )),
        _ => Ok(()),
    }
}

/// Names come from files: none of them may drive the terminal. Line breaks of our own messages stay.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

fn label(stage: Stage) -> &'static str {
    match stage {
        Stage::Initialise => "finding first poses",
        Stage::Pose => "poses and body size",
        Stage::Subject => "body segments and markers",
        Stage::Cameras => "everything together",
        Stage::Covariance => "error bars",
    }
}

/// Log lines as warnings are written: `warning: FILE: what about it`.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let kind = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            _ => "detail",
        };
        writeln!(writer, "{kind}: {}", printable(&said.line()))
    }
}

/// The fields of a log line.
#[derive(Default)]
struct Said {
    /// What it is about: a file or a place by itself, anything else with its name.
    about: Vec<String>,
    message: String,
}

impl Said {
    fn line(&self) -> String {
        if self.about.is_empty() {
            self.message.clone()
        } else {
            format!("{}: {}", self.about.join(", "), self.message)
        }
    }

    fn add(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            "file" | "place" => self.about.push(value),
            name => self.about.push(format!("{name} {value}")),
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

/// Standard error above the progress bar.
struct Above(ProgressBar);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n  c"), "a [2Jb\n  c");
    }
}
