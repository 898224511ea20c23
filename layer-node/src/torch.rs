//! The binding to libtorch beyond tch: functions that tch lacks, and tensors as bytes of main memory. It is the only
//! module with `unsafe`, with those below it: streams of a GPU, and the search for one.
#![allow(unsafe_code)]

mod adopt;
pub mod cuda;
pub mod gpu;
pub mod streams;

pub use adopt::{adopt, is_aligned};

use bytes::Bytes;
use std::ffi::{CStr, c_char, c_int};
use tch::{Device, TchError, Tensor};
use torch_sys::C_tensor;

unsafe extern "C" {
    fn neuropil_conv2d_backward(
        error: *const C_tensor,
        x: *const C_tensor,
        w: *const C_tensor,
        stride: i64,
        padding: i64,
        mask: c_int,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
    fn neuropil_batch_norm_backward(
        error: *const C_tensor,
        x: *const C_tensor,
        gamma: *const C_tensor,
        mean: *const C_tensor,
        inverse_deviation: *const C_tensor,
        eps: f64,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
    fn neuropil_settled(tensor: *const C_tensor, channels_last: bool, out: *mut *mut C_tensor)
    -> *mut c_char;
    fn neuropil_relu(x: *mut C_tensor, out: *mut *mut C_tensor) -> *mut c_char;
    fn neuropil_relu_backward(
        error: *mut C_tensor,
        y: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
    fn neuropil_add(left: *mut C_tensor, right: *const C_tensor, out: *mut *mut C_tensor) -> *mut c_char;
    fn neuropil_sgd_step(
        value: *mut C_tensor,
        gradient: *const C_tensor,
        buffer: *mut C_tensor,
        numbers: *const f64,
        nesterov: bool,
    ) -> *mut c_char;
    fn neuropil_add_scaled(into: *mut C_tensor, from: *const C_tensor, factor: f64) -> *mut c_char;
    fn neuropil_allow_tf32(allowed: bool) -> *mut c_char;
    fn neuropil_keep_large_blocks();
    fn free(pointer: *mut c_char);
}

/// Turns the shim's message into an error, and frees the message.
fn checked(message: *mut c_char) -> Result<(), TchError> {
    said(message).map_err(TchError::Torch)
}

/// Turns the first line of the shim's message into an error, and frees the message.
fn said(message: *mut c_char) -> Result<(), String> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: the shim returns null or a NUL-terminated string from strdup, which is ours to free.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        free(message);
        text
    };
    Err(text.lines().next().unwrap_or_default().to_owned())
}

/// The half of a convolution's backward pass to compute.
#[derive(Clone, Copy)]
enum Half {
    Input = 1,
    Filter = 2,
}

fn conv2d_backward(
    half: Half,
    error: &Tensor,
    x: &Tensor,
    w: &Tensor,
    stride: i64,
    padding: i64,
) -> Result<Tensor, TchError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: the pointers are live tensors; `out` is set to a new tensor unless a message comes back.
    unsafe {
        checked(neuropil_conv2d_backward(
            error.as_ptr(),
            x.as_ptr(),
            w.as_ptr(),
            stride,
            padding,
            half as c_int,
            &mut out,
        ))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// The adjoint of conv2d at `w`: the error at x `(N, in, H, W)` from the error at y `(N, out, H', W')`. Only the
/// shape of `x` is used.
///
/// # Errors
/// When the shapes do not fit.
pub fn conv2d_adjoint(
    error: &Tensor,
    x: &Tensor,
    w: &Tensor,
    stride: i64,
    padding: i64,
) -> Result<Tensor, TchError> {
    conv2d_backward(Half::Input, error, x, w, stride, padding)
}

/// conv2d's filter gradient cW(x, error), summed over the batch. Only the shape of `w` is used.
///
/// # Errors
/// When the shapes do not fit.
pub fn conv2d_filter_gradient(
    error: &Tensor,
    x: &Tensor,
    w: &Tensor,
    stride: i64,
    padding: i64,
) -> Result<Tensor, TchError> {
    conv2d_backward(Half::Filter, error, x, w, stride, padding)
}

/// The errors at x, γ and β of a training batch norm, from the values that its forward pass saved.
///
/// # Errors
/// When the shapes do not fit.
pub fn batch_norm_backward(
    error: &Tensor,
    x: &Tensor,
    gamma: &Tensor,
    mean: &Tensor,
    inverse_deviation: &Tensor,
    eps: f64,
) -> Result<[Tensor; 3], TchError> {
    let mut out = [std::ptr::null_mut(); 3];
    // SAFETY: as for the convolution; all three outputs are set, since the mask asks for all three.
    unsafe {
        checked(neuropil_batch_norm_backward(
            error.as_ptr(),
            x.as_ptr(),
            gamma.as_ptr(),
            mean.as_ptr(),
            inverse_deviation.as_ptr(),
            eps,
            out.as_mut_ptr(),
        ))?;
        Ok(out.map(|pointer| Tensor::from_ptr(pointer)))
    }
}

/// `tensor` with the strides of row-major order, or of N, H, W, C for a shape of four dimensions.
///
/// # Errors
/// When memory or device fail.
pub fn settled(tensor: Tensor, channels_last: bool) -> Result<Tensor, TchError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: `tensor` is a live tensor; `out` stays null where it has these strides, and is else a new tensor unless a
    // message comes back.
    unsafe {
        checked(neuropil_settled(tensor.as_ptr(), channels_last, &mut out))?;
        Ok(if out.is_null() { tensor } else { Tensor::from_ptr(out) })
    }
}

/// max(0, x), in the memory of `x` where nothing else holds it.
///
/// # Errors
/// When memory or device fail.
pub fn relu(mut x: Tensor) -> Result<Tensor, TchError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: `x` is a live tensor that the function owns; `out` is set to a tensor unless a message comes back.
    unsafe {
        checked(neuropil_relu(x.as_mut_ptr(), &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// The error at ReLU's input, from the error at its output `y`, in the memory of `error` where nothing else holds it.
///
/// # Errors
/// When the shapes do not fit.
pub fn relu_backward(mut error: Tensor, y: &Tensor) -> Result<Tensor, TchError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: as for relu.
    unsafe {
        checked(neuropil_relu_backward(error.as_mut_ptr(), y.as_ptr(), &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// left + right, in the memory of `left` where nothing else holds it.
///
/// # Errors
/// When the shapes do not fit.
pub fn add(mut left: Tensor, right: &Tensor) -> Result<Tensor, TchError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: as for relu.
    unsafe {
        checked(neuropil_add(left.as_mut_ptr(), right.as_ptr(), &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// The numbers of a step of SGD with momentum.
pub struct SgdStep {
    /// The learning rate.
    pub lr: f64,
    /// The factor of the buffer's old values.
    pub momentum: f64,
    /// The factor of the parameter that is added to the gradient.
    pub weight_decay: f64,
    /// Whether the step looks ahead along the new buffer.
    pub nesterov: bool,
}

/// One step of SGD with momentum, in one pass over memory: g += weight_decay · value; buffer = momentum · buffer + g;
/// value −= lr · buffer, or with Nesterov value −= lr · (g + momentum · buffer). `gradient` stays as it is.
///
/// # Errors
/// When the shapes or strides do not fit.
pub fn sgd_step(
    value: &mut Tensor,
    gradient: &Tensor,
    buffer: &mut Tensor,
    step: &SgdStep,
) -> Result<(), TchError> {
    let numbers = [step.lr, step.momentum, step.weight_decay];
    // SAFETY: all are live tensors, of which the changed ones are borrowed mutably; the function reads three numbers.
    unsafe {
        checked(neuropil_sgd_step(
            value.as_mut_ptr(),
            gradient.as_ptr(),
            buffer.as_mut_ptr(),
            numbers.as_ptr(),
            step.nesterov,
        ))
    }
}

/// into += factor · from
///
/// # Errors
/// When the shapes do not fit.
pub fn add_scaled(into: &mut Tensor, from: &Tensor, factor: f64) -> Result<(), TchError> {
    // SAFETY: both are live tensors, and `into` is borrowed mutably.
    unsafe { checked(neuropil_add_scaled(into.as_mut_ptr(), from.as_ptr(), factor)) }
}

/// Sets whether products on CUDA devices may see the upper 19 bits of their f32 factors alone. Torch allows it to
/// convolutions from the start. Other devices do not ask.
///
/// # Errors
/// When torch refuses the options.
pub fn allow_tf32(allowed: bool) -> Result<(), TchError> {
    // SAFETY: sets options of torch's context.
    checked(unsafe { neuropil_allow_tf32(allowed) })
}

/// A new tensor with the values of `tensor`.
///
/// # Errors
/// When memory fails.
pub fn copy(tensor: &Tensor) -> Result<Tensor, TchError> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}

/// The elements of a tensor that torch adds up with all its threads.
const PARALLEL: i64 = 1 << 17;

/// Prepares the process and the calling thread: the function makes the allocator keep large blocks, and makes the
/// `threads` compute threads of the caller. OpenMP exits the process where it cannot make a thread, so that must not
/// happen in the middle of a run.
///
/// # Errors
/// When memory fails.
pub fn prepare(threads: u32) -> Result<(), TchError> {
    // SAFETY: takes no arguments and only sets options of malloc.
    unsafe { neuropil_keep_large_blocks() };
    tch::set_num_interop_threads(1);
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    let ones = Tensor::f_ones([PARALLEL], (tch::Kind::Uint8, Device::Cpu))?;
    ones.f_add(&ones).map(drop)
}

/// Fills a tensor that is contiguous in main memory with `pieces`, in order.
///
/// # Errors
/// When the tensor is not on the CPU or not contiguous, or the pieces do not add up to its bytes.
pub fn fill(tensor: &mut Tensor, pieces: &[Bytes]) -> Result<(), TchError> {
    let bytes: usize = pieces.iter().map(Bytes::len).sum();
    if tensor.device() != Device::Cpu || !tensor.is_contiguous() || byte_len(tensor) != bytes {
        return Err(TchError::Shape(format!("{bytes} bytes do not fill {tensor:?}")));
    }
    let mut offset = 0;
    for piece in pieces {
        // SAFETY: the tensor is borrowed mutably, contiguous on the CPU, and has exactly the bytes to which the
        // pieces add up.
        unsafe {
            let to = tensor.data_ptr().cast::<u8>().add(offset);
            std::ptr::copy_nonoverlapping(piece.as_ptr(), to, piece.len());
        }
        offset += piece.len();
    }
    Ok(())
}

/// Bytes of the elements of `tensor`.
pub fn byte_len(tensor: &Tensor) -> usize {
    tensor.numel() * tensor.kind().elt_size_in_bytes()
}

/// A tensor whose memory is lent out as bytes.
struct Lent(Tensor, usize);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the tensor is contiguous on the CPU and holds `self.1` bytes; it lives as long as
        // `self`. `self` shares the storage, and a function that writes in place does so only where nothing shares it.
        unsafe { std::slice::from_raw_parts(self.0.data_ptr().cast::<u8>(), self.1) }
    }
}

/// The bytes of `tensor`, without a copy if it is contiguous in main memory.
///
/// # Errors
/// When memory or device fail.
pub fn lend(tensor: &Tensor) -> Result<Bytes, TchError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
    let length = byte_len(&tensor);
    Ok(Bytes::from_owner(Lent(tensor, length)))
}

/// The elements of a tensor, lent out as f32.
pub struct Numbers(Tensor);

impl AsRef<[f32]> for Numbers {
    fn as_ref(&self) -> &[f32] {
        // SAFETY: the tensor is contiguous on the CPU and in f32; it lives as long as `self`. Values are never changed
        // in place once they are computed.
        unsafe { std::slice::from_raw_parts(self.0.data_ptr().cast::<f32>(), self.0.numel()) }
    }
}

/// The elements of `tensor`, in the order of its dimensions, without a copy if it is contiguous in main memory and in f32.
///
/// # Errors
/// When memory or device fail.
pub fn numbers(tensor: &Tensor) -> Result<Numbers, TchError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(tch::Kind::Float)?.f_contiguous()?;
    Ok(Numbers(tensor))
}

/// A new tensor of `shape`, in f32 in main memory, whose elements `write` sets.
///
/// # Errors
/// When memory fails.
pub fn from_numbers(shape: &[i64], write: impl FnOnce(&mut [f32])) -> Result<Tensor, TchError> {
    let tensor = Tensor::f_zeros(shape, (tch::Kind::Float, Device::Cpu))?;
    // SAFETY: the tensor is new, so nothing else refers to its elements, which are contiguous f32 on the CPU.
    write(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel()) });
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn torch_errors_are_values() {
        let tensor = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        assert!(
            conv2d_adjoint(&tensor(&[1, 2, 3, 3]), &tensor(&[1, 9, 5, 5]), &tensor(&[2, 3, 3, 3]), 1, 0)
                .is_err()
        );
        assert!(add_scaled(&mut tensor(&[2]), &tensor(&[3]), 1.0).is_err());
        let pieces = [Bytes::from_static(&[0; 8]), Bytes::from_static(&[0; 4])];
        assert!(fill(&mut tensor(&[3]), &pieces).is_ok());
        assert!(fill(&mut tensor(&[4]), &pieces).is_err());
        assert!(fill(&mut tensor(&[3, 2]).tr().narrow(0, 0, 1), &pieces).is_err());
    }
}
