//! The device flag: the name of a device, parsed, and opened where it is a GPU.

use crate::torch::gpu::{self, Gpu};
use std::fmt;
use std::str::FromStr;
use tch::Device;

/// The most bytes of a GPU's name in a node's description, so that it fits into the coordinator's budget.
const NAME: usize = 32;

/// A device by name.
#[derive(Clone, Copy, Debug)]
pub struct DeviceName(Device);

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self(Device::Cpu)),
            None if name == "cuda" => Ok(Self(Device::Cuda(0))),
            Some(("cuda", index)) => index
                .parse::<u8>()
                .map(|index| Self(Device::Cuda(index.into())))
                .map_err(|_| format!("'{index}' is no number of a GPU")),
            _ => Err(format!("'{name}' is no device: give cpu or cuda:N")),
        }
    }
}

/// As the flag spells it.
impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Device::Cuda(index) => write!(f, "cuda:{index}"),
            _ => f.write_str("cpu"),
        }
    }
}

impl DeviceName {
    /// Sets the environment variables that the device's libraries read, while the process has one thread.
    pub fn set_environment(self) {
        if let Device::Cuda(_) = self.0 {
            gpu::set_environment();
        }
    }

    /// Opens the device. The text is its name as the flag spells it, and that of its model.
    pub(super) fn open(self) -> Result<(Device, String), String> {
        let Device::Cuda(index) = self.0 else { return Ok((self.0, self.to_string())) };
        let gpu = find(index).map_err(|why| format!("cannot compute on {self}: {why}"))?;
        tracing::info!("{self} is {}", shown(&gpu));
        Ok((self.0, format!("{self} ({})", shown(&gpu))))
    }
}

/// The GPU of this number, once torch can compute on it.
fn find(index: usize) -> Result<Gpu, String> {
    gpu::load().map_err(|why| {
        format!(
            "torch's libraries for CUDA cannot be loaded ({why}); put the folder torch/lib of a PyTorch with CUDA, of \
             this libtorch's release, on LD_LIBRARY_PATH"
        )
    })?;
    // Torch would print warnings on stderr if there is no driver.
    gpu::load_driver().map_err(|why| {
        format!(
            "this host has no NVIDIA driver ({why}); install it, or give the container one, until nvidia-smi answers"
        )
    })?;
    let count = gpu::count().map_err(|why| {
        format!("NVIDIA's driver does not start ({why}); check whether nvidia-smi answers in the same place")
    })?;
    if index >= count {
        let names = if count == 1 { "one, cuda:0".into() } else { format!("{count}, numbered from 0") };
        return Err(format!("there is no such GPU; CUDA_VISIBLE_DEVICES and this host leave {names}"));
    }
    if !tch::Cuda::is_available() {
        return Err("NVIDIA's driver is too old for torch's CUDA; install a newer one".into());
    }
    gpu::describe(index).map_err(|why| format!("the GPU does not answer ({why}); check nvidia-smi"))
}

/// The model and the memory of a GPU.
fn shown(Gpu { name, memory }: &Gpu) -> String {
    let name: String = name.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(NAME).collect();
    format!("{name}, {:.1} GiB", *memory as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_as_its_flag_and_with_its_model() {
        for (flag, name) in [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:3", "cuda:3")] {
            assert_eq!(flag.parse::<DeviceName>().unwrap().to_string(), name);
        }
        for wrong in ["gpu", "cuda:x", "cuda:-1", "cuda:999", "cpu:0", ""] {
            assert!(wrong.parse::<DeviceName>().is_err(), "{wrong}");
        }
        let gpu = Gpu { name: "NVIDIA H200\n".into(), memory: 150_117_285_888 };
        assert_eq!(shown(&gpu), "NVIDIA H200, 139.8 GiB");
        let gpu = Gpu { name: "x".repeat(99), memory: 1 << 30 };
        assert_eq!(shown(&gpu).len(), NAME + ", 1.0 GiB".len());
        assert_eq!("cpu".parse::<DeviceName>().unwrap().open().unwrap(), (Device::Cpu, "cpu".into()));
    }
}
