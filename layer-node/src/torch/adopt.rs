//! Received bytes as tensors: torch computes with the very memory into which a message was read.

use super::checked;
use bytes::Bytes;
use proto::tensor::ALIGNMENT;
use std::ffi::{c_char, c_int, c_void};
use tch::{Kind, TchError, Tensor};
use torch_sys::C_tensor;

unsafe extern "C" {
    fn neuropil_adopt(
        data: *mut c_void,
        shape: *const i64,
        dimensions: usize,
        kind: c_int,
        owner: *mut c_void,
        release: unsafe extern "C" fn(*mut c_void),
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
}

/// Whether [`adopt`] takes `bytes`: whether they are aligned as torch aligns its own memory.
pub fn is_aligned(bytes: &Bytes) -> bool {
    bytes.as_ptr().align_offset(ALIGNMENT) == 0
}

/// A row-major tensor of `shape` in main memory over `bytes`, without a copy. The tensor and its views keep the bytes, and
/// nobody may change its values: the bytes may be shared.
///
/// # Errors
/// When `bytes` are not aligned, or are not as many as the shape has.
pub fn adopt(bytes: Bytes, shape: &[i64], kind: Kind) -> Result<Tensor, TchError> {
    let elements = shape.iter().try_fold(1usize, |all, &size| all.checked_mul(usize::try_from(size).ok()?));
    let length = elements.and_then(|elements| elements.checked_mul(kind.elt_size_in_bytes()));
    let (Some(number), true, true) = (number(kind), is_aligned(&bytes), length == Some(bytes.len())) else {
        let bytes = bytes.len();
        return Err(TchError::Shape(format!("{bytes} bytes cannot become a tensor {shape:?} of {kind:?}")));
    };
    let data = bytes.as_ptr().cast_mut().cast();
    let owner = Box::into_raw(Box::new(bytes)).cast();
    let mut out = std::ptr::null_mut();
    // SAFETY: `data` has the bytes of the shape and lives until `release` drops its owner, which the shim calls once,
    // whether or not the tensor is made. Lent memory has no allocator, so the shim's functions that may write in place
    // leave the shared bytes alone. `out` is set to a new tensor unless a message comes back.
    unsafe {
        checked(neuropil_adopt(data, shape.as_ptr(), shape.len(), number, owner, release, &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Torch's number of an element type that links carry.
fn number(kind: Kind) -> Option<c_int> {
    match kind {
        Kind::Uint8 => Some(0),
        Kind::Half => Some(5),
        Kind::Float => Some(6),
        Kind::BFloat16 => Some(15),
        _ => None,
    }
}

/// Drops the bytes that a tensor kept.
unsafe extern "C" fn release(owner: *mut c_void) {
    // SAFETY: `owner` is the box that `adopt` made, and the shim passes it once.
    drop(unsafe { Box::from_raw(owner.cast::<Bytes>()) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torch;
    use bytes::Buf;
    use proto::tensor::{self, Receiving};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// Bytes whose drops are counted.
    struct Counted(Bytes, Arc<AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
        }
    }

    /// The bytes of the numbers 0, 1, 2, ... as they are received, and the number of times that they were dropped.
    fn received(elements: u32) -> (Bytes, Arc<AtomicUsize>) {
        let mut bytes = Receiving::new(4 * elements as usize);
        (0..elements).for_each(|element| bytes.extend(&(element as f32).to_le_bytes()));
        let tensor = bytes.into_tensor(tensor::Kind::F32, vec![elements.into()]).unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        (Bytes::from_owner(Counted(tensor.into_bytes(), dropped.clone())), dropped)
    }

    #[test]
    fn a_tensor_shares_the_bytes_and_its_last_view_drops_them() {
        let (bytes, dropped) = received(12);
        let place = bytes.as_ptr();
        let tensor = adopt(bytes, &[3, 4], Kind::Float).unwrap();
        assert_eq!((tensor.data_ptr() as *const u8, tensor.is_contiguous()), (place, true));
        let row = tensor.f_select(0, 2).unwrap();
        drop(tensor);
        assert_eq!(
            (Vec::<f32>::try_from(&row).unwrap(), dropped.load(SeqCst)),
            (vec![8.0, 9.0, 10.0, 11.0], 0)
        );
        drop(row);
        assert_eq!(dropped.load(SeqCst), 1);
    }

    #[test]
    fn no_function_that_may_reuse_memory_writes_into_received_bytes() {
        let (bytes, _) = received(4);
        let before = bytes.to_vec();
        let received = || adopt(bytes.clone(), &[4], Kind::Float).unwrap();
        let y = torch::add(torch::relu(received()).unwrap(), &received()).unwrap();
        let _ = torch::relu_backward(received(), &(y - 3.0)).unwrap();
        let _ = torch::add(received(), &received()).unwrap();
        assert_eq!(bytes, before);
    }

    #[test]
    fn bytes_that_are_not_the_shapes_or_not_aligned_are_refused_and_dropped() {
        for (skipped, shape, kind) in [
            (4, &[11][..], Kind::Float),
            (0, &[11], Kind::Float),
            (0, &[-12], Kind::Float),
            (0, &[i64::MAX, 4], Kind::Float),
            (0, &[6], Kind::Double),
        ] {
            let (mut bytes, dropped) = received(12);
            bytes.advance(skipped);
            assert!(adopt(bytes, shape, kind).is_err(), "{shape:?} {kind:?}");
            assert_eq!(dropped.load(SeqCst), 1, "{shape:?}");
        }
    }
}
