//! Signals to a coordinator: the first one ends the run in order, a second one at once. On request, the end of
//! standard input counts as the first signal.

use crate::console::remark;
use crate::run_error::{Cause, RunError};
use proto::process::{signals, threads};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// What a training answers to the first signal.
pub const SAVING: &str = "stopping after the steps under way, and saving";
/// What a command answers that saves nothing.
pub const GIVING_UP: &str = "stopping";

/// Returns a token that the first signal cancels, which is answered with `first`; at the second signal the process exits with the contract's code.
///
/// # Errors
/// When the system refuses the handlers.
pub fn listen(first: &'static str) -> Result<CancellationToken, RunError> {
    let cannot = |error| RunError::internal(format!("cannot listen for signals: {error}"));
    let mut signals = signals::listen().map_err(cannot)?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = signals.first() => {
                remark(format_args!("\n{first}; a second signal stops at once\n"));
                token.cancel();
            }
            () = token.cancelled() => {}
        }
        let asked = signals.again().await;
        remark(format_args!(
            "\nerror: stopped at once by a second signal; what the nodes had saved is still there\n"
        ));
        std::process::exit(asked.code().into());
    });
    Ok(stop)
}

/// Cancels `stop` when standard input ends.
///
/// # Errors
/// When the system refuses a thread.
pub fn when_stdin_ends(stop: &CancellationToken) -> Result<(), RunError> {
    signals::when_stdin_ends(stop.clone()).map_err(RunError::internal)
}

/// Goes on, unless the user has stopped the command before its run began.
///
/// # Errors
/// The interrupt.
pub fn check(stop: &CancellationToken) -> Result<(), RunError> {
    if stop.is_cancelled() { Err(before()) } else { Ok(()) }
}

fn before() -> RunError {
    let why = "interrupted before the run began: nothing was changed, so give the same command again";
    RunError::new(Cause::Interrupted, why)
}

/// The result of `work`, which waits for others before a run begins. An interrupt gives the work up.
///
/// # Errors
/// The work's own failure, or the interrupt.
pub async fn or_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
    tokio::select! {
        done = work => done,
        () = stop.cancelled() => Err(before()),
    }
}

/// The result of `work`, which blocks and comes before a run begins. An interrupt gives the work up.
///
/// # Errors
/// The failure of the work, or the interrupt.
pub async fn unless_stopped<T: Send + 'static>(
    stop: &CancellationToken,
    work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
) -> Result<T, RunError> {
    let (done, result) = oneshot::channel();
    threads::spawn("reader", move || drop(done.send(work()))).map_err(RunError::internal)?;
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(before()),
        result = result => result.unwrap_or_else(|_| Err(RunError::panicked())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interrupt_does_not_wait_for_data_that_are_still_read() {
        let stop = CancellationToken::new();
        assert_eq!(unless_stopped(&stop, || Ok(7)).await.unwrap(), 7);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let reading = unless_stopped(&stop, move || {
            let _ = ended.recv();
            Ok(())
        });
        let (read, ()) = tokio::join!(reading, async { stop.cancel() });
        let interrupted = read.unwrap_err();
        assert_eq!(interrupted.cause, Cause::Interrupted);
        assert!(interrupted.sentence.contains("nothing was changed"), "{interrupted}");
        drop(end);
    }
}
