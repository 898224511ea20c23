//! The device flag: the name of a device, parsed and opened.

use crate::torch;
use std::str::FromStr;
use tch::Device;

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
                .parse()
                .map(|index| Self(Device::Cuda(index)))
                .map_err(|_| format!("'{index}' is no number of a GPU")),
            _ => Err(format!("'{name}' is no device: cpu and cuda:N are")),
        }
    }
}

impl DeviceName {
    /// Opens the device.
    pub(super) fn open(self) -> Result<Device, String> {
        let Device::Cuda(index) = self.0 else { return Ok(self.0) };
        if !torch::load_cuda() || !tch::Cuda::is_available() {
            return Err(
                "CUDA is not available: put a libtorch with CUDA on LD_LIBRARY_PATH, and check nvidia-smi"
                    .into(),
            );
        }
        let count = tch::Cuda::device_count();
        if index as i64 >= count {
            return Err(format!("there is no cuda:{index}: this host has {count} GPUs, numbered from 0"));
        }
        Ok(self.0)
    }

    /// The name as the flag spells it.
    pub(super) fn name(self) -> String {
        match self.0 {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".into(),
        }
    }
}
