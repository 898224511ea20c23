//! The program `layer-node-leaking`, for tests alone: a layer node that leaks a weight. `NEUROPIL_LEAK` chooses how.

#[path = "../main.rs"]
mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    match proto::leak::choose() {
        Ok(leak) => eprintln!("this node leaks a weight: {leak:?}"),
        Err(sentence) => {
            eprintln!("error: {sentence}");
            return ExitCode::from(2);
        }
    }
    program::main()
}
