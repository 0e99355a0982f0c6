//! Which processor computes, and with how many threads.
use super::VisionError;
use serde::{Deserialize, Serialize};
use tch::Device;

/// What the configuration may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// CUDA when there is a device and this build of libtorch knows it, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first CUDA device, or an error.
    Cuda,
}

/// The chosen device and the number of CPU threads one operation may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compute {
    /// Where tensors live.
    pub device: Device,
    /// Intra-operation threads. One a worker is the safe default: more threads than idle cores make OpenMP wait on itself.
    pub threads: u32,
}

impl Compute {
    /// Chooses the device.
    ///
    /// # Errors
    /// [`VisionError::NoCuda`] when CUDA is demanded and there is none.
    pub fn choose(choice: DeviceChoice, threads: u32) -> Result<Self, VisionError> {
        let device = match choice {
            DeviceChoice::Cpu => Device::Cpu,
            DeviceChoice::Auto => Device::cuda_if_available(),
            DeviceChoice::Cuda if tch::Cuda::is_available() => Device::Cuda(0),
            DeviceChoice::Cuda => return Err(VisionError::NoCuda("libtorch found none")),
        };
        Ok(Self { device, threads: threads.max(1) })
    }

    /// Applies the thread count to the calling thread; libtorch keeps it per thread.
    pub fn enter(&self) {
        tch::set_num_threads(i32::try_from(self.threads).unwrap_or(1));
    }

    /// `CPU, 1 thread` or `CUDA device 0`, for people.
    pub fn describe(&self) -> String {
        match self.device {
            Device::Cuda(i) => format!("CUDA device {i}"),
            _ if self.threads == 1 => "CPU, 1 thread".to_owned(),
            _ => format!("CPU, {} threads", self.threads),
        }
    }
}
