//! Sessions of ONNX Runtime: how they are built, and on which device.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use ort::{
    environment::Environment,
    ep::{CUDA, ExecutionProvider, ExecutionProviderDispatch},
    memory::DeviceType,
    session::{
        Session,
        builder::{AutoDevicePolicy, GraphOptimizationLevel, SessionBuilder},
    },
};

use super::{message_of, runtime::DeviceInfo};
use crate::{
    cpu,
    error::{Error, Result},
    options::Device,
};

pub(crate) struct Opened {
    pub session: Session,
    /// The device it took: `cpu`, `cuda:0`.
    pub device: String,
}

/// A session for running. `Auto` takes the first CUDA device if a session can be built on it.
pub(crate) fn open(environment: &Environment, graph: &Path, device: Device) -> Result<Opened> {
    let on_cpu = || {
        let session = build(environment, graph, GraphOptimizationLevel::All, None)?;
        Ok(Opened { session, device: Device::Cpu.to_string() })
    };
    match device {
        Device::Cpu => on_cpu(),
        Device::Cuda(index) => on_cuda(environment, graph, index),
        Device::Auto => match on_cuda(environment, graph, 0) {
            Ok(opened) => Ok(opened),
            Err(error @ Error::DeviceUnavailable { .. }) => {
                tracing::info!(model = %graph.display(), detail = error.detail(), "device auto takes the processor");
                on_cpu()
            }
            Err(error) => Err(error),
        },
    }
}

/// A session for looking: built on the processor, without the time that optimizing a graph takes.
pub(crate) fn peek(environment: &Environment, graph: &Path) -> Result<Session> {
    build(environment, graph, GraphOptimizationLevel::Disable, None)
}

pub(crate) fn devices(environment: &Environment) -> Vec<DeviceInfo> {
    let mut devices = Vec::new();
    for device in environment.devices() {
        let hardware = device.hardware_device();
        let kind = match hardware.ty() {
            DeviceType::CPU => "cpu",
            DeviceType::GPU if device.ep().is_ok_and(|provider| provider.starts_with("CUDA")) => "cuda",
            _ => continue,
        };
        let count = devices.iter().filter(|info: &&DeviceInfo| info.name.starts_with(kind)).count();
        let name = if kind == "cpu" { kind.to_string() } else { format!("{kind}:{count}") };
        devices.push(DeviceInfo {
            name,
            provider: device.ep().unwrap_or_default().to_string(),
            vendor: hardware.vendor().unwrap_or_default().to_string(),
        });
    }
    if !devices.iter().any(|info| info.name == "cpu") {
        let provider = "CPUExecutionProvider".to_string();
        devices.insert(0, DeviceInfo { name: "cpu".into(), provider, vendor: String::new() });
    }
    devices
}

fn on_cuda(environment: &Environment, graph: &Path, index: u32) -> Result<Opened> {
    let device = Device::Cuda(index).to_string();
    let unavailable = |reason: String| Error::DeviceUnavailable { device: device.clone(), reason };
    // Proves only that the build has the provider; building the session proves the rest.
    if !CUDA::is_available().unwrap_or(false) {
        return Err(unavailable("this build of ONNX Runtime has no CUDA provider".into()));
    }
    let index = i32::try_from(index).map_err(|_| unavailable("there is no such device".into()))?;
    let provider = CUDA::default().with_device_id(index).build().error_on_failure();
    match build(environment, graph, GraphOptimizationLevel::All, Some(provider)) {
        Ok(session) => Ok(Opened { session, device }),
        Err(Error::ModelInvalid { reason, .. }) => {
            // A graph that the processor can't load either is the graph's fault.
            build(environment, graph, GraphOptimizationLevel::Disable, None)?;
            Err(unavailable(reason))
        }
        Err(error) => Err(error),
    }
}

fn build(
    environment: &Environment,
    graph: &Path,
    level: GraphOptimizationLevel,
    provider: Option<ExecutionProviderDispatch>,
) -> Result<Session> {
    // `ort` panics on value types it doesn't know (sparse tensors, opaque types).
    let built = catch_unwind(AssertUnwindSafe(|| -> ort::Result<Session> {
        let mut builder = builder(environment, level)?;
        if let Some(provider) = provider {
            builder = builder.with_execution_providers([provider])?;
        }
        builder.commit_from_file(graph)
    }));
    match built {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(Error::ModelInvalid { path: graph.into(), reason: message_of(&error) }),
        Err(panic) => Err(Error::UnsupportedModel { path: graph.into(), reason: cpu::panic_message(&*panic) }),
    }
}

fn builder(environment: &Environment, level: GraphOptimizationLevel) -> ort::Result<SessionBuilder> {
    // The memory pattern is a plan for one shape, and here every micro-batch has another. The arena stays on, which is
    // the default as long as the CPU provider isn't registered by hand. The policy keeps the runtime from choosing
    // another provider by itself.
    let builder = Session::builder(environment)?
        .with_optimization_level(level)?
        .with_memory_pattern(false)?
        .with_auto_device(AutoDevicePolicy::PreferCPU)?;
    Ok(builder)
}
