//! The search for a GPU: torch's libraries for CUDA, which are loaded at run time, NVIDIA's driver, and its GPUs.

use super::{checked, said};
use std::ffi::{CStr, c_char, c_int};
use tch::TchError;

/// The library that registers CUDA with torch.
const LIBRARY: &CStr = c"libtorch_cuda.so";
/// The room for the name of a GPU.
const NAME: usize = 96;

unsafe extern "C" {
    fn neuropil_load(name: *const c_char) -> *mut c_char;
    fn neuropil_default_variable(name: *const c_char, value: *const c_char);
    fn neuropil_driver_load() -> *mut c_char;
    fn neuropil_driver_count(count: *mut c_int) -> *mut c_char;
    fn neuropil_driver_gpu(index: c_int, name: *mut c_char, length: c_int, bytes: *mut u64) -> *mut c_char;
    fn neuropil_deterministic(on: bool) -> *mut c_char;
}

/// A GPU, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// The name of the model.
    pub name: String,
    /// Its memory, in bytes.
    pub memory: u64,
}

/// Sets the variables of the environment that CUDA's libraries read when they start, unless the user has set them:
/// the workspace of cuBLAS in which its results are the same run after run. It is to be called while the process has
/// one thread.
pub fn set_environment() {
    // SAFETY: both are NUL-terminated; the caller's process has one thread, which reads no variable meanwhile.
    unsafe { neuropil_default_variable(c"CUBLAS_WORKSPACE_CONFIG".as_ptr(), c":4096:8".as_ptr()) };
}

/// Registers CUDA with torch.
///
/// # Errors
/// The loader's words, where a library is missing or belongs to another torch.
pub fn load() -> Result<(), String> {
    // SAFETY: loads a library of the libtorch that this process already uses.
    said(unsafe { neuropil_load(LIBRARY.as_ptr()) })
}

/// Loads NVIDIA's driver.
///
/// # Errors
/// The loader's words, where there is none.
pub fn load_driver() -> Result<(), String> {
    // SAFETY: loads a library by a constant name.
    said(unsafe { neuropil_driver_load() })
}

/// The number of GPUs of the loaded driver.
///
/// # Errors
/// The driver's words, where it does not start.
pub fn count() -> Result<usize, String> {
    let mut count = 0;
    // SAFETY: `count` outlives the call.
    said(unsafe { neuropil_driver_count(&mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The GPU of this number, of those that [`count`] counts.
///
/// # Errors
/// The driver's words, where there is no such GPU.
pub fn describe(index: usize) -> Result<Gpu, String> {
    let (mut name, mut memory) = ([0; NAME], 0);
    let index = c_int::try_from(index).map_err(|_| format!("there is no GPU {index}"))?;
    // SAFETY: the driver writes at most `NAME` bytes and ends them with NUL; both places outlive the call.
    let name = unsafe {
        said(neuropil_driver_gpu(index, name.as_mut_ptr(), NAME as c_int, &mut memory))?;
        CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned()
    };
    Ok(Gpu { name, memory })
}

/// Has torch choose kernels that give the same bits run after run, or lets it choose any. With them, an operation that
/// has no such kernel fails.
///
/// # Errors
/// When torch refuses.
pub fn set_deterministic(on: bool) -> Result<(), TchError> {
    // SAFETY: sets switches of this process's torch.
    checked(unsafe { neuropil_deterministic(on) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn the_switches_change_no_bit_on_the_cpu() {
        let product = || {
            let x = Tensor::arange(64 * 64, (Kind::Float, Device::Cpu)).reshape([64, 64]).sin();
            x.matmul(&x)
        };
        let before = product();
        set_deterministic(true).unwrap();
        let switched = product();
        set_deterministic(false).unwrap();
        assert_eq!(switched, before);
    }
}
