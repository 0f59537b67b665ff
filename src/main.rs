//! The `kinefit` command; see [`kinefit::cli`].

fn main() -> std::process::ExitCode {
    kinefit::cli::main()
}
