//! Signals: the first SIGINT or SIGTERM ends the run in order, the second at once. On request, the end of standard
//! input counts as the first signal.

use crate::console::remark;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The time within which a second signal counts as the same: `timeout` sends its signal to the process and then to
/// the whole group, and a terminal's interrupt may come by a parent as well.
const SAME: Duration = Duration::from_millis(300);

/// The meaning of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// End in order.
    Stop,
    /// End at once.
    Exit,
    /// No new meaning.
    Same,
}

/// The meaning of a signal at `now`. The function sets the time of the `first` signal, if there was none;
/// `stopping` says whether the run is ending already.
fn wish(first: &mut Option<Duration>, stopping: bool, now: Duration) -> Wish {
    match *first {
        Some(first) if now - first < SAME => Wish::Same,
        _ if stopping => Wish::Exit,
        _ => {
            *first = Some(now);
            Wish::Stop
        }
    }
}

/// Returns a token that the first signal cancels; at the second signal the process exits with the contract's code.
pub fn listen() -> CancellationToken {
    let stop = CancellationToken::new();
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return stop;
    };
    let token = stop.clone();
    tokio::spawn(async move {
        let (begun, mut first) = (Instant::now(), None);
        loop {
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            match wish(&mut first, token.is_cancelled(), begun.elapsed()) {
                Wish::Same => {}
                Wish::Stop => {
                    remark(format_args!(
                        "\nstopping after the steps under way, and saving; a second signal stops at once\n"
                    ));
                    token.cancel();
                }
                Wish::Exit => {
                    remark(format_args!(
                        "\nerror: stopped at once by a second signal; what the nodes had saved is still there\n"
                    ));
                    std::process::exit(code);
                }
            }
        }
    });
    stop
}

/// Cancels `stop` when standard input ends. The thread ends with the process, because a read cannot be interrupted.
pub fn when_stdin_ends(stop: &CancellationToken) {
    let stop = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        stop.cancel();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_signal_is_another_one_only_after_a_moment() {
        let story = |stopping: bool, times: &[u64]| {
            let (mut first, mut stopping) = (None, stopping);
            let mut wish = |at: &u64| {
                let wish = wish(&mut first, stopping, Duration::from_millis(*at));
                stopping |= wish == Wish::Stop;
                wish
            };
            times.iter().map(&mut wish).collect::<Vec<_>>()
        };
        assert_eq!(story(false, &[5, 6, 304, 305]), [Wish::Stop, Wish::Same, Wish::Same, Wish::Exit]);
        assert_eq!(story(true, &[5]), [Wish::Exit], "standard input ended before");
    }
}
