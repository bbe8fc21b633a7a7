//! Reading a graph: its inputs and outputs as ports, its column names, and, where it doesn't declare a shape, the shape
//! a trial run has.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use ort::{
    session::Session,
    value::{DynValue, Outlet, Tensor, TensorElementType, ValueType},
};

use super::{message_of, scheduler::Tensors};
use crate::{
    cpu,
    error::{Error, Result},
    options::{ModelOptions, name_list},
    spec::{Element, Port},
};

/// Rows of a trial run: not 1, so that a dimension of rows can be told from a dimension of one value.
const TRIAL_ROWS: usize = 3;

/// What `Runtime::inspect` learns about a graph over columns.
pub(crate) struct Graph {
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub features: Option<Vec<String>>,
}

pub(crate) fn graph(session: &mut Session, path: &Path, options: &ModelOptions) -> Result<Graph> {
    let unsupported = |reason: String| Error::UnsupportedModel { path: path.into(), reason };
    let inputs = ports(session.inputs(), path)?;
    if inputs.is_empty() {
        return Err(unsupported("the graph has no inputs".into()));
    }
    for port in &inputs {
        let open = port.shape.iter().skip(1).filter(|dimension| **dimension < 0).count();
        if port.shape.is_empty() || port.map_key.is_some() {
            return Err(unsupported(format!("input \"{}\" has no dimension for rows", port.name)));
        }
        if open > 0 && port.shape.len() != 2 {
            return Err(unsupported(format!("input \"{}\" has more than one open dimension", port.name)));
        }
    }
    let mut outputs = ports(session.outputs(), path)?;
    if outputs.iter().any(|port| port.shape.is_empty() && port.map_key.is_none()) {
        fill_shapes(session, &inputs, &mut outputs).map_err(unsupported)?;
    }
    let outputs = chosen_outputs(outputs, options)?;
    let features = features(session, path, &inputs, options)?;
    Ok(Graph { inputs, outputs, features })
}

/// The inputs or outputs of a graph.
pub(crate) fn ports(outlets: &[Outlet], path: &Path) -> Result<Vec<Port>> {
    let port = |outlet: &Outlet| {
        port(outlet).ok_or_else(|| Error::UnsupportedModel {
            path: path.into(),
            reason: format!("\"{}\" has type {}", outlet.name(), outlet.dtype()),
        })
    };
    outlets.iter().map(port).collect()
}

/// The outputs that the options name, in that order, or all.
pub(crate) fn chosen_outputs(outputs: Vec<Port>, options: &ModelOptions) -> Result<Vec<Port>> {
    let Some(names) = &options.outputs else {
        return Ok(outputs);
    };
    let find = |name: &String| {
        outputs.iter().find(|port| &port.name == name).cloned().ok_or_else(|| Error::OptionInvalid {
            option: "outputs".into(),
            value: names.join(", "),
            reason: format!(
                "the model's outputs are: {}",
                outputs.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ")
            ),
        })
    };
    names.iter().map(find).collect()
}

/// Runs a session once, outside any scheduler. The error is the runtime's message.
pub(crate) fn run_once(session: &mut Session, inputs: Tensors) -> std::result::Result<Tensors, String> {
    let run = AssertUnwindSafe(|| {
        let mut outputs = session.run(inputs).map_err(|error| message_of(&error))?;
        let names: Vec<String> = outputs.keys().filter(|name| !name.is_empty()).map(str::to_string).collect();
        Ok(names.into_iter().filter_map(|name| outputs.remove(&name).map(|value| (name, value))).collect())
    });
    catch_unwind(run).unwrap_or_else(|panic| Err(cpu::panic_message(&*panic)))
}

fn port(outlet: &Outlet) -> Option<Port> {
    let name = outlet.name().to_string();
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            Some(Port { name, element: element(*ty)?, shape: shape.to_vec(), map_key: None })
        }
        ValueType::Sequence(inner) => match inner.as_ref() {
            ValueType::Map { key, value } => {
                let (key, element) = (element(*key)?, element(*value)?);
                let known = matches!(key, Element::String | Element::Int64) && element == Element::Float32;
                known.then(|| Port { name, element, shape: vec![-1], map_key: Some(key) })
            }
            _ => None,
        },
        _ => None,
    }
}

fn element(element: TensorElementType) -> Option<Element> {
    Some(match element {
        TensorElementType::Bool => Element::Bool,
        TensorElementType::Int8 => Element::Int8,
        TensorElementType::Int16 => Element::Int16,
        TensorElementType::Int32 => Element::Int32,
        TensorElementType::Int64 => Element::Int64,
        TensorElementType::Uint8 => Element::UInt8,
        TensorElementType::Uint16 => Element::UInt16,
        TensorElementType::Uint32 => Element::UInt32,
        TensorElementType::Uint64 => Element::UInt64,
        TensorElementType::Float16 => Element::Float16,
        TensorElementType::Bfloat16 => Element::BFloat16,
        TensorElementType::Float32 => Element::Float32,
        TensorElementType::Float64 => Element::Float64,
        TensorElementType::String => Element::String,
        _ => return None,
    })
}

/// The names of the columns of the one wide input: from the options, or from the model's property `feature_names`.
fn features(session: &Session, path: &Path, inputs: &[Port], options: &ModelOptions) -> Result<Option<Vec<String>>> {
    let property = || session.metadata().ok().and_then(|metadata| metadata.custom("feature_names"));
    let names = match &options.features {
        Some(names) => names.clone(),
        None => match property() {
            None => return Ok(None),
            Some(text) => name_list(&text).ok_or_else(|| Error::ModelInvalid {
                path: path.into(),
                reason: "its property feature_names is no list of distinct names".into(),
            })?,
        },
    };
    let mut wide = inputs.iter().filter(|port| port.is_wide());
    let reason = match (wide.next(), wide.next()) {
        (Some(port), None) if port.row_width().is_none_or(|width| width == names.len()) => return Ok(Some(names)),
        (Some(port), None) => {
            let width = port.row_width().unwrap_or(0);
            format!("{} names are given for the {width} columns of input \"{}\"", names.len(), port.name)
        }
        (None, _) if options.features.is_none() => return Ok(None),
        _ => "column names need exactly one input that is wider than one value".into(),
    };
    match &options.features {
        Some(_) => Err(Error::OptionInvalid { option: "features".into(), value: names.join(", "), reason }),
        None => Err(Error::ModelInvalid { path: path.into(), reason }),
    }
}

/// Finds the shapes that the graph leaves out, by running it over zeros and empty texts.
fn fill_shapes(session: &mut Session, inputs: &[Port], outputs: &mut [Port]) -> std::result::Result<(), String> {
    let rows = inputs.iter().find_map(Port::fixed_rows).unwrap_or(TRIAL_ROWS);
    let mut tensors = Vec::with_capacity(inputs.len());
    for port in inputs {
        tensors.push((port.name.clone(), zeros(port, rows)?));
    }
    let results: BTreeMap<String, DynValue> = run_once(session, tensors)?.into_iter().collect();
    for port in outputs.iter_mut().filter(|port| port.shape.is_empty() && port.map_key.is_none()) {
        let shape = results.get(&port.name).and_then(|value| value.dtype().tensor_shape());
        match shape.map(|shape| shape.to_vec()) {
            Some(shape) if shape.first() == Some(&(rows as i64)) => {
                port.shape = std::iter::once(-1).chain(shape.into_iter().skip(1)).collect();
            }
            _ => return Err(format!("output \"{}\" has no dimension for rows", port.name)),
        }
    }
    Ok(())
}

fn zeros(port: &Port, rows: usize) -> std::result::Result<DynValue, String> {
    let width = port.row_width().unwrap_or(1);
    let count = rows.checked_mul(width).filter(|count| *count <= 1 << 26).ok_or("an input is too large")?;
    let mut shape: Vec<i64> = port.shape.iter().map(|&dimension| if dimension < 0 { 1 } else { dimension }).collect();
    if let Some(first) = shape.first_mut() {
        *first = rows as i64;
    }
    macro_rules! zero {
        ($zero:expr) => {
            Tensor::from_array((shape, vec![$zero; count])).map(|tensor| tensor.into_dyn())
        };
    }
    let tensor = match port.element {
        Element::Bool => zero!(false),
        Element::Int8 => zero!(0i8),
        Element::Int16 => zero!(0i16),
        Element::Int32 => zero!(0i32),
        Element::Int64 => zero!(0i64),
        Element::UInt8 => zero!(0u8),
        Element::UInt16 => zero!(0u16),
        Element::UInt32 => zero!(0u32),
        Element::UInt64 => zero!(0u64),
        Element::Float16 => zero!(half::f16::ZERO),
        Element::BFloat16 => zero!(half::bf16::ZERO),
        Element::Float32 => zero!(0f32),
        Element::Float64 => zero!(0f64),
        Element::String => {
            Tensor::from_string_array((shape, vec![""; count].as_slice())).map(|tensor| tensor.into_dyn())
        }
    };
    tensor.map_err(|error| message_of(&error))
}
