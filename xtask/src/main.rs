//! Project tasks: `cargo xtask tidy` and `cargo xtask test`.
//!
//! Reads the checkout; writes only below the target directory. Invariant: a
//! task that fails says every reason it found, then ends with a failure code.

mod layers;
mod links;
mod sources;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

  tidy          check the layers, the files and the links of the checkout
  test [ARGS]   run all tests; ARGS go to `cargo test`
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next();
    let rest: Vec<String> = args.collect();
    let outcome = match task.as_deref() {
        Some("tidy") if rest.is_empty() => tidy::run(),
        Some("test") => test::run(&rest),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
