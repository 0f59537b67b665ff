//! The solver and a whole fit, on two seconds of a walk before eight cameras.
//!
//!     cargo bench --bench fit

mod common;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use kinefit::fit_session;
use kinefit::solve::{SolveOptions, Workspace, linearise, solve, solve_in};

fn fit(c: &mut Criterion) {
    let made = common::session(60, 30.0);
    let (problem, start) = common::problem(&made);
    let mut group = c.benchmark_group("fit");
    group.sample_size(10);
    group.bench_function("linearise", |b| b.iter(|| linearise(&problem, &start)));
    let one = SolveOptions { max_iterations: 1, ..SolveOptions::default() };
    group.bench_function("one_iteration", |b| {
        b.iter_batched(|| start.clone(), |start| solve(&problem, start, &one), BatchSize::LargeInput);
    });
    match common::markers() {
        Some((problem, start)) => {
            let mut memory = Workspace::default();
            let solved = solve_in(&mut memory, &problem, start.clone(), &SolveOptions::default());
            let frames = problem.trials[0].times.len() as u64;
            let (dofs, groups) = (problem.layout.dofs(), problem.groups());
            eprintln!(
                "sizes and poses of {frames} frames, {dofs} degrees of freedom, {groups} sizes: {} iterations, cost {:.2e}",
                solved.iterations, solved.cost
            );
            // Time for each frame: what joint scale and pose are compared by.
            group.throughput(criterion::Throughput::Elements(frames));
            group.bench_function("sizes_and_poses_from_markers", |b| {
                b.iter(|| solve_in(&mut memory, &problem, start.clone(), &SolveOptions::default()));
            });
        }
        None => eprintln!("sizes_and_poses_from_markers: skipped, the recordings are not there"),
    }
    group.throughput(criterion::Throughput::Elements(1));
    let options = common::fit_options();
    group.bench_function("fit_session", |b| b.iter(|| fit_session(&made.session, &options)));
}

criterion_group!(benches, fit);
criterion_main!(benches);
