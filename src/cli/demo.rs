//! `kinefit demo`: the session that comes with the program, fitted, and compared with its truth.

use super::console::{Console, print};
use super::evaluate::two_lines;
use super::interrupt;
use super::output::{Output, command_line};
use crate::error::Result;
use crate::fit::{FitOptions, Status, fit_session};
use crate::quality::evaluate;
use crate::report::Provenance;
use crate::synthetic;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Fit the session that comes with the program
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kinefit demo --out first_results")]
pub(super) struct Arguments {
    /// Folder for the results; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "kinefit_demo")]
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    let begun = Instant::now();
    let demo = synthetic::demo()?;
    let output = Output::open(&arguments.out)?;
    // As a folder such as users have, to look at and to fit again with other options.
    demo.write(&arguments.out.join("session"))?;
    let mut options = FitOptions::default();
    let mut provenance = Provenance::new(&serde_json::json!({ "fit": options }))?;
    provenance.command = command_line();
    provenance.seeds.extend(demo.truth.seed.map(|seed| ("session".to_owned(), seed)));
    let read = begun.elapsed().as_secs_f64();

    options.stop = Some(interrupt::stop_flag());
    options.progress = Some(console.progress());
    let fitted = fit_session(&demo.session, &options);
    console.end_progress();
    let mut fit = fitted?;
    fit.timings.read = read;
    fit.timings.total += read;
    let code = output.write(&fit, &provenance, false, console)?;
    if fit.status != Status::Failed {
        let data = fit.fitted_data();
        print(&two_lines(&evaluate(&demo.truth, &data)?, &data))?;
    }
    Ok(code)
}
