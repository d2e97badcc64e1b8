//! kogge: a whole Kubernetes in one binary.
//!
//! Puts the parts together and is the only one that may end the process. The
//! first thing it does is to see whether it was started as a pod's shim or as a
//! container's init: those never reach the command line below.

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = runtime::dispatch(std::env::args_os()) {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    cli::run()
}
