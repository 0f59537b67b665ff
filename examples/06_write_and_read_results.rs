//! Write everything a fit gives, and read `outcome.json` and the motion file back as another program would.
//!
//!     cargo run --release --example 06_write_and_read_results

use kinefit::fit::{FitOptions, default_skeleton, fit_session};
use kinefit::report::{Outcome, OutputFolder, Provenance, write_all};
use kinefit::skeleton::ScaleGroups;
use kinefit::synthetic::{Movement, SyntheticOptions, generate};
use kinefit::{Error, Result};

fn main() -> Result<()> {
    let skeleton = default_skeleton()?;
    let options = SyntheticOptions { frames: 30, movements: vec![Movement::Squat], ..SyntheticOptions::default() };
    let made = generate(&skeleton, &ScaleGroups::default_for(&skeleton), &options)?;
    let fit_options = FitOptions::default();
    let fit = fit_session(&made.session, &fit_options)?;

    // The folder is probed before anything is written into it, and files appear whole or not at all.
    let place = std::env::temp_dir().join(format!("kinefit_example_{}", std::process::id()));
    let out = OutputFolder::open(&place)?;
    for path in write_all(&fit, &out, &Provenance::new(&fit_options)?)? {
        println!("{}", path.display());
    }

    let read = |name: &str| {
        let path = place.join(name);
        std::fs::read_to_string(&path).map_err(|e| Error::unreadable(&path, &e))
    };
    let text = read("outcome.json")?;
    let outcome: Outcome =
        serde_json::from_str(&text).map_err(|e| Error::input("outcome.json", e, "write it again"))?;
    println!("status {:?}: {}", outcome.status, outcome.reason);
    for trial in &outcome.trials {
        let motion = read(&format!("{}.mot", trial.files))?;
        let rows = motion.lines().skip_while(|line| *line != "endheader").skip(2).count();
        println!("{}: {rows} rows of {} coordinates in degrees and metres", trial.name, skeleton.coordinates.len());
    }
    std::fs::remove_dir_all(&place).map_err(|e| Error::output(&place, e))
}
