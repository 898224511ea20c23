//! The coordinator's program: reads the command line, runs the command, and exits with the contract's code.

use coordinator::cli::{self, Cli, LogFormat};
use coordinator::run_error::RunError;
use mimalloc::MiMalloc;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// A tensor's bytes come and go with every message. mimalloc keeps the memory of freed ones, where the system's allocator
/// returns it, and the next tensor takes a page fault for every 4 KiB.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let work = || {
        let Some(cli) = cli::parse()? else { return Ok(()) };
        start_log(&cli);
        cli::execute(cli)
    };
    // The panic hook has printed the panic by now. Scripts still get their last line and exit code.
    match std::panic::catch_unwind(work).unwrap_or_else(|_| Err(RunError::panicked())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(cli::report(&failure)),
    }
}

/// The levels of the log where RUST_LOG does not say them. The library that draws pictures warns of lines of one point.
const LEVELS: &str = "info,tiny_skia=error";

fn start_log(cli: &Cli) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LEVELS));
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_env_filter(filter);
    match cli.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
