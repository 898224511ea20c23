//! Single flight: slow work runs once for all callers that ask during the previous run of the work.
//!
//! ```text
//! asks      1   2 3 4           5
//! work      |───1───|──2 3 4──| |──5──|
//! ```
//!
//! A caller gets the result of work that began after the caller had asked. A caller waits for two runs of the work at
//! most, however many callers there are.

use proto::failure::Failure;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// The last result, shared by all callers.
pub struct SingleFlight<T>(Arc<Mutex<Option<Flight<T>>>>);

struct Flight<T> {
    began: Instant,
    found: T,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for SingleFlight<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone + Send + 'static> SingleFlight<T> {
    /// The result of `work`: this caller's, or another caller's that began after this function was called.
    ///
    /// # Errors
    /// When `work` panics.
    pub async fn share(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let asked = Instant::now();
        let mut last = self.0.clone().lock_owned().await;
        if let Some(flight) = last.as_ref().filter(|flight| flight.began >= asked) {
            return Ok(flight.found.clone());
        }
        // The work holds the lock, not its caller: only one work runs at a time, even if the caller gives up.
        let found = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let found = work();
            *last = Some(Flight { began, found: found.clone() });
            found
        });
        found.await.map_err(|_| Failure::own("the state folder could not be read"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_thousand_callers_that_wait_share_work_that_began_after_they_asked() {
        let [asked, runs] = [0, 1].map(|_| Arc::new(AtomicUsize::new(0)));
        let shared = SingleFlight::default();
        // On one thread, a counted caller has asked by the time that the count is read.
        let ask = |before: Box<dyn FnOnce() + Send>| {
            let (shared, asked, runs) = (shared.clone(), asked.clone(), runs.clone());
            tokio::spawn(async move {
                asked.fetch_add(1, SeqCst);
                let work = move || {
                    before();
                    runs.fetch_add(1, SeqCst)
                };
                shared.share(work).await.unwrap()
            })
        };
        let all_asked = async |count| {
            while asked.load(SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        let (begin, begun) = mpsc::channel::<()>();
        let (go, wait) = mpsc::channel::<()>();
        let first = ask(Box::new(move || {
            begin.send(()).unwrap();
            wait.recv().unwrap();
        }));
        all_asked(1).await;
        begun.recv().unwrap();
        let others: Vec<_> = (0..1000).map(|_| ask(Box::new(|| ()))).collect();
        all_asked(1001).await;
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), 0);
        for other in others {
            assert_eq!(other.await.unwrap(), 1, "one run for all, which began after the first");
        }
        assert_eq!(ask(Box::new(|| ())).await.unwrap(), 2, "a later caller gets what is there then");
    }
}
