//! SIGINT and SIGTERM: the first one ends the run in order, the second one at once. The end of standard
//! input counts as the first one where that is asked for.

use crate::console::remark;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Signals so soon after the first are the same one: `timeout` sends its own to the process and then to the
/// whole group, and a terminal's interrupt may come by a parent as well.
const SAME: Duration = Duration::from_millis(300);

/// Cancelled at the first signal; the process exits with the contract's code at the second.
pub fn listen() -> CancellationToken {
    let stop = CancellationToken::new();
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return stop;
    };
    let first = stop.clone();
    tokio::spawn(async move {
        let mut begun: Option<Instant> = None;
        loop {
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            if begun.is_some_and(|begun| begun.elapsed() < SAME) {
                continue;
            }
            if first.is_cancelled() {
                remark(format_args!(
                    "\nerror: stopped at once by a second signal; what the nodes had saved is still there\n"
                ));
                std::process::exit(code);
            }
            remark(format_args!(
                "\nstopping after the steps under way, and saving; a second signal stops at once\n"
            ));
            begun = Some(Instant::now());
            first.cancel();
        }
    });
    stop
}

/// Cancels `stop` when standard input ends. The thread ends with the process: reading cannot be broken off.
pub fn when_stdin_ends(stop: &CancellationToken) {
    let stop = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        stop.cancel();
    });
}
