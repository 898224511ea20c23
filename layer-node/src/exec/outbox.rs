//! The outbox: it hands messages to the links in the order in which the worker sends them.
//!
//! If a device copies by itself, a thread waits for the copies of each message and then for room in its link, while
//! the worker goes on. The worker waits when the outbox is full, and at the end of a step. All messages of the step are
//! then with the links, as if the worker had waited for each message.

use crate::exec::account::Account;
use crate::exec::device::Download;
use proto::cancellation::Cancellation;
use proto::failure::Failure;
use proto::link::{Carried, Outgoing, Role};
use proto::microbatch::{Message, MicrobatchHeader};
use proto::process::threads;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// The number of messages that may wait for their copies. Each keeps its memory until its link has room.
const WAITING: usize = 2;

/// A message without its tensors.
pub struct Letter {
    /// The end of the link.
    pub to: Outgoing,
    /// The time for which the link may be full.
    pub deadline: Duration,
    /// The cancellation of the run.
    pub cancellation: Cancellation,
    /// The message's header.
    pub header: MicrobatchHeader,
    /// The account of the training that the message belongs to; `None` in an evaluation.
    pub account: Option<(Account, [Role; 2], Carried)>,
}

impl Letter {
    /// Hands the message to its link, once its tensors are in main memory.
    fn deliver(self, values: Download, runtime: &Handle) -> Result<(), Failure> {
        let tensors = values.complete()?;
        let message = Message { header: self.header, tensors };
        if let Some((account, ends, carried)) = self.account {
            account.add(ends, carried, &message);
        }
        runtime.block_on(self.to.send(self.deadline, message))
    }
}

/// The outbox of a worker.
pub struct Outbox {
    runtime: Handle,
    /// The thread that waits for copies; `None` where the worker's device has none.
    thread: Option<Thread>,
}

struct Thread {
    letters: SyncSender<(Letter, Download, Counted)>,
    count: Arc<Count>,
}

impl Outbox {
    /// An outbox for a device that works on while the worker goes on, or for one that does not.
    ///
    /// # Errors
    /// A thread that the system does not make, in one sentence.
    pub fn new(runtime: Handle, is_asynchronous: bool) -> Result<Self, String> {
        let mut thread = None;
        if is_asynchronous {
            let (letters, taken) = sync_channel(WAITING);
            let runtime = runtime.clone();
            threads::spawn("sender", move || send_all(&taken, &runtime))?;
            thread = Some(Thread { letters, count: Arc::default() });
        }
        Ok(Self { runtime, thread })
    }

    /// Sends `values` under `letter`, or leaves them to the thread; a failure of the thread ends the run of the letter.
    ///
    /// # Errors
    /// When the device fails, or the neighbour is gone or takes nothing within the deadline.
    pub fn send(&self, letter: Letter, values: Download) -> Result<(), Failure> {
        let Some(thread) = &self.thread else { return letter.deliver(values, &self.runtime) };
        letter.cancellation.check()?;
        let counted = thread.count.one_more();
        thread
            .letters
            .send((letter, values, counted))
            .map_err(|_| Failure::own("the sender is gone: this is a bug, please report it"))
    }

    /// Waits until all messages are with their links.
    ///
    /// # Errors
    /// The reason for which the run has ended meanwhile.
    pub fn settle(&self, cancellation: &Cancellation) -> Result<(), Failure> {
        let Some(thread) = &self.thread else { return Ok(()) };
        thread.count.wait();
        cancellation.check()
    }
}

/// Sends all letters, and drops the letters of a run that has ended.
fn send_all(letters: &Receiver<(Letter, Download, Counted)>, runtime: &Handle) {
    while let Ok((letter, values, counted)) = letters.recv() {
        let cancellation = letter.cancellation.clone();
        if cancellation.check().is_ok() {
            let sent = catch_unwind(AssertUnwindSafe(|| letter.deliver(values, runtime)));
            let panicked = |_| Err(Failure::own("the sender panicked: this is a bug, please report it"));
            if let Err(failure) = sent.unwrap_or_else(panicked) {
                cancellation.fail(failure);
            }
        }
        drop(counted);
    }
}

/// The number of messages that are not with their links yet.
#[derive(Default)]
struct Count {
    number: Mutex<usize>,
    fewer: Condvar,
}

/// Counts as one message until it is dropped.
struct Counted(Arc<Count>);

impl Count {
    fn one_more(self: &Arc<Self>) -> Counted {
        *self.number.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Counted(self.clone())
    }

    fn wait(&self) {
        let number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let none = self.fewer.wait_while(number, |number| *number > 0);
        drop(none.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.number.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.fewer.notify_all();
    }
}
