//! What tch leaves out, and the doors between tensors and bytes: the one module with `unsafe`.
#![allow(unsafe_code)]

use bytes::Bytes;
use proto::tensor::TensorData;
use std::ffi::{CStr, c_char, c_int};
use tch::{Device, Kind, TchError, Tensor};
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
    fn neuropil_add_scaled(into: *mut C_tensor, from: *const C_tensor, factor: f64) -> *mut c_char;
    fn neuropil_keep_large_blocks();
    fn neuropil_load_cuda() -> bool;
    fn free(pointer: *mut c_char);
}

/// Turns the shim's message into an error, and frees it.
fn checked(message: *mut c_char) -> Result<(), TchError> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: the shim returns null or a NUL-terminated string from strdup, which is ours to free.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        free(message);
        text
    };
    Err(TchError::Torch(text.lines().next().unwrap_or_default().to_owned()))
}

/// Which half of a convolution's backward pass to compute.
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

/// The adjoint of conv2d at `w`: the error at x `(N, in, H, W)` from the error at y
/// `(N, out, H', W')`. Of `x` only the shape is used.
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

/// conv2d's filter gradient cW(x, error), summed over the batch. Of `w` only the shape is used.
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

/// Errors at x, γ and β of a training batch norm, from what its forward pass saved.
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

/// into += factor · from
///
/// # Errors
/// When the shapes do not fit.
pub fn add_scaled(into: &mut Tensor, from: &Tensor, factor: f64) -> Result<(), TchError> {
    // SAFETY: both are live tensors, and `into` is borrowed mutably.
    unsafe { checked(neuropil_add_scaled(into.as_mut_ptr(), from.as_ptr(), factor)) }
}

/// A tensor of its own with the values of `tensor`.
///
/// # Errors
/// When memory fails.
pub fn copy(tensor: &Tensor) -> Result<Tensor, TchError> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}

/// Prepares the process: `threads` compute threads, large blocks kept by the allocator.
pub fn prepare(threads: u32) {
    // SAFETY: takes no arguments and only sets options of malloc.
    unsafe { neuropil_keep_large_blocks() };
    tch::set_num_interop_threads(1);
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
}

/// Registers CUDA with torch, where `libtorch_cuda.so` is on the library path; says whether it was.
pub fn load_cuda() -> bool {
    // SAFETY: loads a library of the libtorch that this process already uses.
    unsafe { neuropil_load_cuda() }
}

/// torch's name of a number format on the wire.
pub fn kind_of(kind: proto::tensor::Kind) -> Kind {
    match kind {
        proto::tensor::Kind::F32 => Kind::Float,
        proto::tensor::Kind::Bf16 => Kind::BFloat16,
        proto::tensor::Kind::F16 => Kind::Half,
    }
}

/// Copies received bytes into a tensor of torch's own allocator, so that it lies aligned however it
/// arrived, and gives it the kind and device of the computation.
///
/// # Errors
/// When memory or device fail.
pub fn tensor_from(data: &TensorData, kind: Kind, device: Device) -> Result<Tensor, TchError> {
    let shape: Vec<i64> = data.shape().iter().map(|&size| size as i64).collect();
    let tensor = Tensor::f_empty(shape, (kind_of(data.kind()), Device::Cpu))?;
    let mut offset = 0;
    for piece in data.pieces() {
        // SAFETY: `tensor` is new, contiguous and unshared, and has exactly `data.len()` bytes, since a
        // TensorData cannot exist with another length; the pieces add up to it.
        unsafe {
            let to = tensor.data_ptr().cast::<u8>().add(offset);
            std::ptr::copy_nonoverlapping(piece.as_ptr(), to, piece.len());
        }
        offset += piece.len();
    }
    tensor.f_to_device(device)?.f_to_kind(kind)
}

/// A tensor whose memory is lent out as bytes.
struct Lent(Tensor, usize);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the tensor is contiguous on the CPU and holds `self.1` bytes; it lives as long as
        // `self`. Values are never changed in place once they are computed.
        unsafe { std::slice::from_raw_parts(self.0.data_ptr().cast::<u8>(), self.1) }
    }
}

/// The bytes of `tensor` in number format `kind`, without a copy where it already is so.
///
/// # Errors
/// When memory or device fail.
pub fn bytes_of(tensor: &Tensor, kind: Kind) -> Result<Bytes, TchError> {
    let tensor = tensor.f_to_kind(kind)?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let length = tensor.numel() * kind.elt_size_in_bytes();
    Ok(Bytes::from_owner(Lent(tensor, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_the_tensor_that_they_were_and_aligned() {
        let tensor = Tensor::randn([3, 5], (Kind::Float, Device::Cpu));
        let bytes = bytes_of(&tensor, Kind::Float).unwrap();
        let pieces = vec![bytes.slice(..7), bytes.slice(7..)];
        let data = TensorData::new(proto::tensor::Kind::F32, vec![3, 5], pieces).unwrap();
        let back = tensor_from(&data, Kind::Float, Device::Cpu).unwrap();
        assert_eq!(back, tensor);
        assert_eq!(back.data_ptr() as usize % 64, 0);
    }

    #[test]
    fn torch_errors_are_values() {
        let tensor = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        assert!(
            conv2d_adjoint(&tensor(&[1, 2, 3, 3]), &tensor(&[1, 9, 5, 5]), &tensor(&[2, 3, 3, 3]), 1, 0)
                .is_err()
        );
        assert!(add_scaled(&mut tensor(&[2]), &tensor(&[3]), 1.0).is_err());
    }
}
