//! Time of one step of a fit by networks: 300 frames × 8 cameras × 87 points, everything free.
//!
//!     cargo bench --features learn --bench networks                    # 128,128 · 2.9 M weights · the released size
//!     cargo bench --features learn --bench networks -- --json 64,64    # a size of your own, for programs
//!
//! Each figure is the fastest of several steps. `objective` is the skeleton's, the cameras' and the priors' share of one.

mod common;

use kinefit::solve::Progress;
use kinefit::solve::first_order::{AdamOptions, Descent, Group, Networks, ObjectiveGradient, Terms, Window, adam};
use kinefit::trajectory::mlp::{Architecture, Mlp};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const SIZES: [&str; 3] = ["128,128", "128,256,512,1024,2048", "128,256,512,1024,2048,2048,4096"];
const STEPS: u64 = 8;

fn seconds(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..STEPS {
        let begun = Instant::now();
        work();
        best = best.min(begun.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let json = arguments.iter().any(|a| a == "--json");
    let given: Vec<&str> = arguments.iter().map(String::as_str).filter(|a| *a != "--json").collect();
    let sizes = if given.is_empty() { SIZES.to_vec() } else { given };
    let made = common::session(300, 60.0);
    let (problem, parameters) = common::problem(&made);
    for size in sizes {
        let layers: Vec<usize> = size.split(',').filter_map(|n| n.parse().ok()).collect();
        let base = if layers.len() > 2 { Architecture::medium() } else { Architecture::small() };
        let architecture = Architecture { concatenated: layers.len().min(3), layers, ..base };
        let usual = problem.layout.default_pose();
        let made = Mlp::random(architecture, &problem.mechanism, problem.layout.clone(), &usual, true, 5.0, 0);
        let mlps = vec![made.expect("a network for five seconds")];
        let networks = Networks::new(&problem, &mlps, Terms::default(), None);
        let start = Arc::new(networks.flatten(&vec![0.0; problem.border().columns]));
        let mut gradient = vec![0.0; start.len()];
        let whole = seconds(|| {
            networks.descend(&start, 0, &mut gradient);
        });
        let poses = networks.poses(&start);
        let windows = [Window { trial: 0, frames: 0..300, stretch: None }];
        let mut found = ObjectiveGradient::default();
        let objective = seconds(|| {
            problem.cost_of_poses(&windows, &poses, &parameters, Terms::default(), 1.0, &mut found);
        });
        let groups = vec![Group { range: 0..start.len(), rate: 1e-6, decay: 0.0, from_step: 0 }];
        let options = AdamOptions::default();
        // The whole of it: argmin's loop, Adam's update, the gradient. From the end of one step to the end of the next.
        let ends = Arc::new(Mutex::new(Vec::new()));
        let told = ends.clone();
        let note = move |_: u64, _: f64| told.lock().expect("one thread").push(Instant::now());
        let progress: Progress = Arc::new(note);
        adam(&networks, start.to_vec(), groups, &options, None, STEPS + 1, (Some(progress), None));
        let ends = ends.lock().expect("one thread");
        let step = ends.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).fold(f64::INFINITY, f64::min);
        let weights = mlps[0].parameters().len();
        if json {
            let figures = serde_json::json!({
                "size": size, "parameters": weights, "step_s": step, "gradient_s": whole, "objective_s": objective,
            });
            println!("{figures}");
        } else {
            println!(
                "{size}: {:.2} M parameters, {:.1} ms a step, of which gradient {:.1}, skeleton and cameras {:.1} ms ({:.1} %)",
                weights as f64 / 1e6,
                1e3 * step,
                1e3 * whole,
                1e3 * objective,
                100.0 * objective / step
            );
        }
    }
}
