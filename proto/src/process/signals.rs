//! Signals that ask a program to end: those of terminals, supervisors, batch systems and the kernel. The first one
//! ends the program in order, a second one at once.

use futures::future::select_all;
use std::fs;
use std::io;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM and SIGXCPU.
const ASKING: [i32; 7] = [HANGUP, 2, 3, 10, 12, 15, PROCESSOR_TIME];
/// SIGHUP: the terminal is gone. `nohup` starts a program with this signal ignored.
const HANGUP: i32 = 1;
/// SIGXCPU: the process has used up its processor time. The kernel repeats the signal every second.
const PROCESSOR_TIME: i32 = 24;
/// SIGXFSZ: a file would become larger than `ulimit -f` allows. Where the signal is handled, the write fails as on a
/// full disk.
const FILE_SIZE: i32 = 25;
/// The time within which a second signal counts as the same: `timeout` sends its signal to the process and then to
/// the whole group, a terminal's interrupt may come by a parent as well, and a supervisor may send two.
const SAME: Duration = Duration::from_millis(300);

/// A signal that asked the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked(i32);

impl Asked {
    /// The exit code of a program that this signal ended: 128 and the number of the signal.
    pub fn code(self) -> u8 {
        128 + self.0 as u8
    }

    /// Whether `code` is the exit code after one of these signals.
    pub fn is_code(code: i32) -> bool {
        ASKING.contains(&(code - 128))
    }
}

/// The signals of this process from the moment of [`listen`] on.
pub struct Signals {
    streams: Vec<(i32, Signal)>,
    first: Option<Instant>,
}

/// Handles the signals from now on. SIGHUP stays ignored if it was ignored when the program started. The other signals
/// are handled even then, since scripts start jobs in the background with SIGINT and SIGQUIT ignored.
///
/// Call it within a runtime.
///
/// # Errors
/// When the system refuses a handler.
pub fn listen() -> io::Result<Signals> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let taken = ASKING.into_iter().filter(|number| *number != HANGUP || !ignores(&status, HANGUP));
    let take = |number| Ok((number, signal(SignalKind::from_raw(number))?));
    let streams = taken.map(take).collect::<io::Result<_>>()?;
    // The handler stays when its stream is dropped.
    let _ = signal(SignalKind::from_raw(FILE_SIZE))?;
    Ok(Signals { streams, first: None })
}

impl Signals {
    /// Waits for the first signal.
    pub async fn first(&mut self) -> Asked {
        let asked = self.next().await;
        self.first = Some(Instant::now());
        asked
    }

    /// Waits for the next signal that is not a copy of the first one.
    pub async fn again(&mut self) -> Asked {
        loop {
            let Asked(number) = self.next().await;
            let since = self.first.map(|first| first.elapsed());
            if !is_same(since, number) {
                return Asked(number);
            }
        }
    }

    async fn next(&mut self) -> Asked {
        let waits = self.streams.iter_mut().map(|(number, stream)| {
            Box::pin(async move {
                stream.recv().await;
                Asked(*number)
            })
        });
        select_all(waits).await.0
    }
}

/// Whether signal `number` is a copy of the first one; `since` is the time since the first signal, if there was one.
fn is_same(since: Option<Duration>, number: i32) -> bool {
    since.is_some_and(|since| since < SAME) || number == PROCESSOR_TIME
}

/// Whether a process with this `/proc/PID/status` ignores signal `number`.
fn ignores(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

/// Cancels `token` when standard input ends. The thread that reads ends with the process, because a read cannot be
/// interrupted.
///
/// # Errors
/// When the system refuses the thread, in one sentence.
pub fn when_stdin_ends(token: CancellationToken) -> Result<(), String> {
    let read = move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        token.cancel();
    };
    super::threads::spawn("stdin", read).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_signal_is_another_one_only_after_a_moment() {
        let after = |milliseconds| Some(Duration::from_millis(milliseconds));
        assert!(is_same(after(0), 15) && is_same(after(299), 2));
        assert!(!is_same(after(300), 15));
        assert!(!is_same(None, 2), "the program is ending for another reason");
        assert!(is_same(after(1000), PROCESSOR_TIME), "the kernel repeats it while the program ends");
    }

    #[test]
    fn an_ignored_signal_stands_in_the_mask() {
        let status = "Name:\tlayer-node\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert!(ignores(status, HANGUP) && ignores(status, 13));
        assert!(!ignores(status, 2) && !ignores("", HANGUP));
    }

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(ASKING.map(|number| Asked(number).code()), [129, 130, 131, 138, 140, 143, 152]);
        assert!(Asked::is_code(143) && !Asked::is_code(137) && !Asked::is_code(75));
    }
}
