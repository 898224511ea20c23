//! The streams of a device that works by itself: what a stage on a GPU asks of CUDA, and what a test can stand in for.
//!
//! Work that is given to a stream is done in order, later, while the calling thread goes on. Events are places in a
//! stream: another stream can wait for one, or the calling thread.

use tch::{Kind, TchError, Tensor};

/// A stream that computes, and two that copy, to the device and from it. Torch's operations go to the stream that
/// computes.
pub trait Streams: Send {
    /// A place in a stream.
    type Event: Event;

    /// The device of the tensors.
    fn device(&self) -> tch::Device;

    /// An empty tensor in main memory that copies can reach by themselves.
    ///
    /// # Errors
    /// When memory or device fail.
    fn pinned(&mut self, shape: &[i64], kind: Kind) -> Result<Tensor, TchError>;

    /// Begins the copy of `pinned` to the device: a tensor that may be used in the stream that computes after it has
    /// waited for the event.
    ///
    /// # Errors
    /// When memory or device fail.
    fn upload(&mut self, pinned: &Tensor) -> Result<(Tensor, Self::Event), TchError>;

    /// Begins the copy of `source`, once the stream that computes has reached this call, to a pinned tensor, which is
    /// complete after the event.
    ///
    /// # Errors
    /// When memory or device fail.
    fn download(&mut self, source: &Tensor) -> Result<(Tensor, Self::Event), TchError>;

    /// Marks the place that the stream which computes will reach, with its time.
    ///
    /// # Errors
    /// When the device fails.
    fn mark(&mut self) -> Result<Self::Event, TchError>;

    /// Has the stream that computes wait for `event`. The calling thread goes on.
    ///
    /// # Errors
    /// When the device fails.
    fn wait(&mut self, event: &Self::Event) -> Result<(), TchError>;
}

/// A place in a stream.
pub trait Event: Send + 'static {
    /// Has the calling thread wait until the stream has reached the place.
    ///
    /// # Errors
    /// When the device has failed by then, in this or in earlier work.
    fn synchronize(&self) -> Result<(), TchError>;

    /// The time from this mark to a later one, both of which the stream has reached; negative to an earlier one.
    ///
    /// # Errors
    /// When the device fails.
    fn milliseconds_to(&self, later: &Self) -> Result<f64, TchError>;
}
