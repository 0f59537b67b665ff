//! The `kinefit` command: one file per subcommand, and no mathematics.
//!
//! Results go to standard output, everything said on the way (progress, warnings, errors) to standard error. The exit status
//! is 0 for a result that may be used, 1 for a fit that failed, 2 for input that cannot be used, and 130 after a second
//! Ctrl-C.

mod console;
mod convert;
mod demo;
mod evaluate;
mod fit;
mod fk;
mod ik;
mod interrupt;
mod model;
#[cfg(feature = "learn")]
mod network;
mod output;
mod scale;
mod synth;

use crate::error::Result;
use clap::{ArgAction, Parser, Subcommand};
use console::Console;
use std::ffi::OsString;
use std::process::ExitCode;

/// Joint angles, bone lengths and camera positions, with error bars, from what several cameras saw of a person.
#[derive(Debug, Parser)]
#[command(
    name = "kinefit",
    version,
    max_term_width = 110,
    after_help = "First steps:\n  kinefit demo\n  kinefit fit SESSION"
)]
struct Cli {
    /// Say more about what is done, on standard error; -vv for everything
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 100)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fit(Box<fit::Arguments>),
    Demo(demo::Arguments),
    Ik(ik::Arguments),
    Scale(scale::Arguments),
    Fk(fk::Arguments),
    Convert(convert::Arguments),
    Synth(synth::Arguments),
    Evaluate(evaluate::Arguments),
}

/// Runs the command on the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(joined(std::env::args_os()));
    let console = Console::new(cli.verbose);
    let done = match &cli.command {
        Command::Fit(arguments) => fit::run(arguments, &console),
        Command::Demo(arguments) => demo::run(arguments, &console),
        Command::Ik(arguments) => ik::run(arguments, &console),
        Command::Scale(arguments) => scale::run(arguments, &console),
        Command::Fk(arguments) => fk::run(arguments),
        Command::Convert(arguments) => convert::run(arguments),
        Command::Synth(arguments) => synth::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
    };
    finish(done, &console)
}

/// `--refine-cameras false` as `--refine-cameras=false`: the flag may stand without a value before the session, so that the parser cannot take the next word for one,
/// but no session is called `true` or `false`.
fn joined(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::new();
    for argument in arguments {
        match out.last_mut() {
            Some(flag) if flag == "--refine-cameras" && (argument == "true" || argument == "false") => {
                flag.push("=");
                flag.push(argument);
            }
            _ => out.push(argument),
        }
    }
    out
}

fn finish(done: Result<ExitCode>, console: &Console) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(error) => {
            console.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_flag_and_its_value_may_be_two_words() {
        let said = |words: &[&str]| joined(words.iter().map(OsString::from));
        assert_eq!(said(&["fit", "--refine-cameras", "false", "s"]), ["fit", "--refine-cameras=false", "s"]);
        assert_eq!(said(&["fit", "--refine-cameras", "s", "false"]), ["fit", "--refine-cameras", "s", "false"]);
    }

    #[test]
    fn the_definition_is_sound_and_every_command_shows_an_example() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands_mut() {
            let help = sub.render_long_help().to_string();
            assert!(help.contains("Example"), "{help}");
        }
    }
}
