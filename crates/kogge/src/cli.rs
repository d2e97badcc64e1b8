//! The command line: one variant and one arm a verb.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

/// The Kubernetes release whose API this is.
const API_LEVEL: &str = "v1.37";

#[derive(Parser)]
#[command(
    name = "kogge",
    version,
    about = "A whole Kubernetes in one small binary"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Print the version of kogge and of the Kubernetes API it serves
    #[command(after_help = "Examples:\n  kogge version\n  kogge version -o json")]
    Version {
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Examples:\n  source <(kogge completion bash)")]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
    Yaml,
}

/// Reads the arguments and does what they say.
pub(crate) fn run() -> ExitCode {
    let mut out = Vec::new();
    match Cli::parse().verb {
        Verb::Version { output } => out = version(output).into_bytes(),
        Verb::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "kogge", &mut out);
        }
    }
    match std::io::stdout().write_all(&out) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader went away: nothing is left to say.
        Err(_) => ExitCode::FAILURE,
    }
}

fn version(output: Output) -> String {
    let kogge = env!("CARGO_PKG_VERSION");
    match output {
        Output::Text => format!("kogge {kogge} (Kubernetes {API_LEVEL})\n"),
        Output::Yaml => format!("kogge: {kogge}\nkubernetes: {API_LEVEL}\n"),
        Output::Json => {
            format!(
                "{}\n",
                serde_json::json!({"kogge": kogge, "kubernetes": API_LEVEL})
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn versions_print_in_every_form() {
        assert!(version(Output::Text).ends_with("(Kubernetes v1.37)\n"));
        let json: serde_json::Value = serde_json::from_str(&version(Output::Json)).unwrap();
        assert_eq!(json["kubernetes"], "v1.37");
        assert!(version(Output::Yaml).contains("kubernetes: v1.37"));
    }
}
