//! libtorch: the device, the models, and the one worker that looks at the newest frame of every camera.
//!
//! Frames come in as YUV planes; resizing, conversion to RGB and normalisation happen in libtorch on its device.
mod appearance;
mod characteristics;
mod contour;
mod detector;
mod device;
mod manifest;
mod nanodet;
mod outline;
mod pixels;
mod quality;
mod weights;
mod worker;

pub use appearance::{Appearance, LEARNED_FILE};
pub use characteristics::{characteristics, name as colour_name};
pub use detector::{Comparison, Detector, DetectorConfig};
pub use device::{Compute, DeviceChoice};
pub use manifest::{ManifestError, ModelSlot, SiteModels};
pub use outline::{OUTLINE_FILE, OUTLINE_SHA256, OutlineComparison, Outliner};
pub use quality::{Flaw, Look, QualityGate, why_poor};
pub use weights::{DETECTOR_FILE, DETECTOR_SHA256, WeightsError, sha256_of};
pub use worker::{Analysed, Background, Input, Inputs, Worker, describe_persons};

/// What can go wrong between a frame and its detections.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// The weights cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A site's own model cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A model answered with something else than it should.
    #[error("a model gave something else than the tensor it should give")]
    Output,
    /// libtorch refused an operation.
    #[error("the analysis failed in libtorch: {}", first_line(.0))]
    Torch(#[from] tch::TchError),
    /// CUDA was asked for and is not there.
    #[error("no CUDA device: {0}; choose `device = \"auto\"` or `\"cpu\"`")]
    NoCuda(&'static str),
    /// A fault of Vigia's own.
    #[error("{0}")]
    Internal(String),
    /// A frame without the planes its layout promises.
    #[error("a frame came without all its planes")]
    Planes,
}

/// libtorch's messages carry a C++ backtrace; the first line says it.
fn first_line(error: &tch::TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
