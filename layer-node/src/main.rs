//! The command line of the program `layer-node`.

use clap::{Parser, Subcommand, ValueEnum};
use layer_node::failure::Failure;
use layer_node::health::{self, HealthFlags};
use layer_node::serve::{self, Serve, Stop};
use layer_node::state::digest::{self, DigestFlags};
use layer_node::state::weights::{self, AnglesFlags, ExportFlags, ImportFlags};
use mimalloc::MiMalloc;
use proto::process::{self, room};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Keeps the memory of messages that have gone, as the coordinator's allocator does. Torch allocates with malloc, which keeps
/// large blocks by a setting of its own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A process that owns the weights of one stage of a network
#[derive(Parser)]
#[command(name = "layer-node", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines on stderr look
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a stage: whichever the coordinator configures
    Serve(Box<Serve>),
    /// Ask a node how it does, for supervisors that speak no gRPC; ends with 0 if it is serving, and else with 1
    Health(HealthFlags),
    /// Print the SHA-256 of every tensor in a state folder
    Digest(DigestFlags),
    /// Merge the weights in state folders into one safetensors file, by torchvision's names
    Export(ExportFlags),
    /// Put the weights of a safetensors file into state folders
    Import(ImportFlags),
    /// Print the angle between W and B of every layer in state folders
    Angles(AnglesFlags),
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[cfg(feature = "leaks")]
const _: () = layer_node::leak::belongs_to(env!("CARGO_BIN_NAME"));

/// Carries out the command line.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    start_log(cli.log_format);
    let code = match cli.command {
        Command::Serve(flags) => run(*flags),
        Command::Health(flags) => health(&flags),
        Command::Digest(flags) => digest::digest(&flags).and_then(print).map_err(Failure::from),
        Command::Export(flags) => weights::export(&flags).and_then(print).map_err(Failure::from),
        Command::Angles(flags) => weights::angles(&flags).and_then(print).map_err(Failure::from),
        Command::Import(flags) => weights::import(&flags).and_then(print).map_err(Failure::from),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {}", failure.sentence);
            ExitCode::from(failure.code)
        }
    }
}

fn print(lines: String) -> Result<u8, String> {
    match write!(io::stdout(), "{lines}").and_then(|()| io::stdout().flush()) {
        // A closed stdout is no failure: a reader such as `head` closes it once it has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to stdout ({error}): make room where it leads to"))
        }
        _ => Ok(0),
    }
}

fn run(flags: Serve) -> Result<u8, Failure> {
    let what = format!("this node (--threads {})", flags.threads);
    let needs = room::Needs {
        what: &what,
        threads: room::threads_of_node(flags.threads) - 1,
        others: 0,
        files: room::FILES_OF_NODE,
        otherwise: ", or give fewer --threads",
    };
    room::check(needs).map_err(Failure::configuration)?;
    flags.device.set_environment();
    let runtime = process::runtime()?;
    let stop = runtime.block_on(serve::serve(flags));
    runtime.shutdown_background();
    stop.map(Stop::code)
}

fn health(flags: &HealthFlags) -> Result<u8, Failure> {
    let runtime = process::runtime()?;
    let line = runtime.block_on(health::health(flags));
    // A look-up of the node's name may still be under way, and goes on without an end that this program knows.
    runtime.shutdown_background();
    print(line?).map_err(Failure::from)
}

/// Prints help and version, which are no failures. Any other error of the command line ends in one sentence.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let said: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage") && !line.starts_with("For more"))
        .map(str::trim)
        .collect();
    let _ = writeln!(io::stderr(), "{} (see layer-node --help)", said.join(" ").trim());
    ExitCode::from(2)
}

fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // The logger reports its own errors on stderr, and panics if stderr is full: a full disk of logs must not
        // stop training.
        .log_internal_errors(false)
        .with_env_filter(filter);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
