//! The streams of a GPU by CUDA, as libtorch has them.

use super::checked;
use super::streams::{Event, Streams};
use std::ffi::{c_char, c_int};
use std::ptr::{NonNull, null_mut};
use tch::{Kind, TchError, Tensor};
use torch_sys::C_tensor;

/// The shim's streams.
#[repr(C)]
struct RawStreams([u8; 0]);
/// The shim's event.
#[repr(C)]
struct RawEvent([u8; 0]);

unsafe extern "C" {
    fn neuropil_streams_open(index: c_int, out: *mut *mut RawStreams) -> *mut c_char;
    fn neuropil_streams_close(streams: *mut RawStreams);
    fn neuropil_pinned(
        sizes: *const i64,
        dimensions: usize,
        like: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
    fn neuropil_upload(
        streams: *mut RawStreams,
        pinned: *const C_tensor,
        out: *mut *mut C_tensor,
        copied: *mut *mut RawEvent,
    ) -> *mut c_char;
    fn neuropil_download(
        streams: *mut RawStreams,
        source: *const C_tensor,
        out: *mut *mut C_tensor,
        copied: *mut *mut RawEvent,
    ) -> *mut c_char;
    fn neuropil_mark(streams: *mut RawStreams, out: *mut *mut RawEvent) -> *mut c_char;
    fn neuropil_wait(streams: *mut RawStreams, event: *const RawEvent) -> *mut c_char;
    fn neuropil_event_synchronize(event: *const RawEvent) -> *mut c_char;
    fn neuropil_event_elapsed(
        from: *const RawEvent,
        to: *const RawEvent,
        milliseconds: *mut f64,
    ) -> *mut c_char;
    fn neuropil_event_free(event: *mut RawEvent);
}

/// The streams of one GPU. The stream that computes is that of the thread that opened them.
#[derive(Debug)]
pub struct CudaStreams {
    raw: NonNull<RawStreams>,
    device: tch::Device,
}

// SAFETY: the shim's streams are three numbers and a pointer to a table of functions, which any thread may use.
unsafe impl Send for CudaStreams {}

impl CudaStreams {
    /// Opens the streams of the GPU of this number, which becomes the calling thread's.
    ///
    /// # Errors
    /// CUDA's words, where the GPU cannot be used.
    pub fn open(index: usize) -> Result<Self, TchError> {
        let mut raw = null_mut();
        let number = c_int::try_from(index).unwrap_or(c_int::MAX);
        // SAFETY: `raw` outlives the call, and is set unless a message comes back.
        checked(unsafe { neuropil_streams_open(number, &mut raw) })?;
        Ok(Self { raw: given(raw)?, device: tch::Device::Cuda(index) })
    }
}

impl Drop for CudaStreams {
    fn drop(&mut self) {
        // SAFETY: the pointer is the shim's, and is not used again.
        unsafe { neuropil_streams_close(self.raw.as_ptr()) }
    }
}

/// An event of a GPU.
#[derive(Debug)]
pub struct CudaEvent(NonNull<RawEvent>);

// SAFETY: one thread at a time uses an event, and CUDA lets it be any thread.
unsafe impl Send for CudaEvent {}

impl Drop for CudaEvent {
    fn drop(&mut self) {
        // SAFETY: the pointer is the shim's, and is not used again.
        unsafe { neuropil_event_free(self.0.as_ptr()) }
    }
}

/// The pointer that the shim has set.
fn given<T>(raw: *mut T) -> Result<NonNull<T>, TchError> {
    NonNull::new(raw).ok_or_else(|| TchError::Torch("the shim gave nothing: this is a bug".into()))
}

impl Event for CudaEvent {
    fn synchronize(&self) -> Result<(), TchError> {
        // SAFETY: the event lives.
        checked(unsafe { neuropil_event_synchronize(self.0.as_ptr()) })
    }

    fn milliseconds_to(&self, later: &Self) -> Result<f64, TchError> {
        let mut milliseconds = 0.0;
        // SAFETY: both events live, and `milliseconds` outlives the call.
        checked(unsafe { neuropil_event_elapsed(self.0.as_ptr(), later.0.as_ptr(), &mut milliseconds) })?;
        Ok(milliseconds)
    }
}

impl Streams for CudaStreams {
    type Event = CudaEvent;

    fn device(&self) -> tch::Device {
        self.device
    }

    fn pinned(&mut self, shape: &[i64], kind: Kind) -> Result<Tensor, TchError> {
        let (mut out, like) = (null_mut(), Tensor::f_empty([0], (kind, tch::Device::Cpu))?);
        // SAFETY: the sizes and `like` outlive the call; `out` is set to a new tensor unless a message comes back.
        unsafe {
            checked(neuropil_pinned(shape.as_ptr(), shape.len(), like.as_ptr(), &mut out))?;
            Ok(Tensor::from_ptr(out))
        }
    }

    fn upload(&mut self, pinned: &Tensor) -> Result<(Tensor, CudaEvent), TchError> {
        let (mut out, mut copied) = (null_mut(), null_mut());
        // SAFETY: the streams and the tensor live; both results are set unless a message comes back.
        unsafe {
            checked(neuropil_upload(self.raw.as_ptr(), pinned.as_ptr(), &mut out, &mut copied))?;
            Ok((Tensor::from_ptr(out), CudaEvent(given(copied)?)))
        }
    }

    fn download(&mut self, source: &Tensor) -> Result<(Tensor, CudaEvent), TchError> {
        let (mut out, mut copied) = (null_mut(), null_mut());
        // SAFETY: as for the upload.
        unsafe {
            checked(neuropil_download(self.raw.as_ptr(), source.as_ptr(), &mut out, &mut copied))?;
            Ok((Tensor::from_ptr(out), CudaEvent(given(copied)?)))
        }
    }

    fn mark(&mut self) -> Result<CudaEvent, TchError> {
        let mut event = null_mut();
        // SAFETY: the streams live, and the event is set unless a message comes back.
        checked(unsafe { neuropil_mark(self.raw.as_ptr(), &mut event) })?;
        Ok(CudaEvent(given(event)?))
    }

    fn wait(&mut self, event: &CudaEvent) -> Result<(), TchError> {
        // SAFETY: the streams and the event live.
        checked(unsafe { neuropil_wait(self.raw.as_ptr(), event.0.as_ptr()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_cuda_there_are_no_streams_and_no_pinned_memory() {
        // The library path of the tests has no libtorch_cuda.so.
        let why = CudaStreams::open(0).unwrap_err().to_string();
        assert!(why.contains("cuda"), "{why}");
    }
}
