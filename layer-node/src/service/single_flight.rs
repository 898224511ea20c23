//! One look at something slow, for all who ask while the one before it is under way.
//!
//! ```text
//! asks      1   2 3 4           5
//! looks     |───1───|──2 3 4──| |──5──|
//! ```
//!
//! Whoever asks gets what was there after it had asked, and waits for two looks at most, however many ask.

use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;
use tonic::Status;

/// The last look, shared by all who may ask.
pub struct SingleFlight<T>(Arc<Mutex<Option<Seen<T>>>>);

struct Seen<T> {
    began: Instant,
    what: T,
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
    /// What `look` sees: now, or at a look that began since this was called.
    ///
    /// # Errors
    /// When `look` panics.
    pub async fn share(&self, look: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
        let asked = Instant::now();
        let mut last = self.0.clone().lock_owned().await;
        if let Some(seen) = last.as_ref().filter(|seen| seen.began >= asked) {
            return Ok(seen.what.clone());
        }
        // The look holds the lock, and not who asked: one at a time, also where the caller gives up.
        let looked = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let what = look();
            *last = Some(Seen { began, what: what.clone() });
            what
        });
        looked.await.map_err(|_| Status::internal("the state folder could not be looked at"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_thousand_who_wait_share_a_look_that_began_after_they_asked() {
        let [asked, looks] = [0, 1].map(|_| Arc::new(AtomicUsize::new(0)));
        let shared = SingleFlight::default();
        // On one thread, who is counted has asked by the time that anybody sees the count.
        let ask = |before: Box<dyn FnOnce() + Send>| {
            let (shared, asked, looks) = (shared.clone(), asked.clone(), looks.clone());
            tokio::spawn(async move {
                asked.fetch_add(1, SeqCst);
                let look = move || {
                    before();
                    looks.fetch_add(1, SeqCst)
                };
                shared.share(look).await.unwrap()
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
            assert_eq!(other.await.unwrap(), 1, "one look for all, which began after the first");
        }
        assert_eq!(ask(Box::new(|| ())).await.unwrap(), 2, "who asks later sees what is there then");
    }
}
