//! What the tests of this crate share: calling a function as the engine does, models that answer from a list, and
//! a random sequence that is the same on every run.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF};

use crate::model::ModelPort;

/// The type of `function` for these arguments, literals included, as the planner asks for it.
pub fn return_field(function: &ScalarUDF, arguments: &[ColumnarValue]) -> Result<FieldRef> {
    let scalars: Vec<Option<&ScalarValue>> = arguments
        .iter()
        .map(|argument| match argument {
            ColumnarValue::Scalar(value) => Some(value),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let arg_fields = fields(arguments);
    function.return_field_from_args(ReturnFieldArgs { arg_fields: &arg_fields, scalar_arguments: &scalars })
}

/// Calls `function` over as many rows as its first array argument has (one row where all are literals).
pub fn invoke(function: &ScalarUDF, arguments: Vec<ColumnarValue>) -> Result<ColumnarValue> {
    let return_field = return_field(function, &arguments)?;
    let lengths = arguments.iter().map(|argument| match argument {
        ColumnarValue::Array(array) => Some(array.len()),
        ColumnarValue::Scalar(_) => None,
    });
    let number_rows = lengths.flatten().next().unwrap_or(1);
    let arg_fields = fields(&arguments);
    let config_options = Arc::new(ConfigOptions::default());
    function.invoke_with_args(ScalarFunctionArgs {
        args: arguments,
        arg_fields,
        number_rows,
        return_field,
        config_options,
    })
}

/// The result of [`invoke`] as an array, one row per input row.
pub fn invoke_array(function: &ScalarUDF, arguments: Vec<ColumnarValue>) -> Result<ArrayRef> {
    invoke(function, arguments)?.into_array(1)
}

fn fields(arguments: &[ColumnarValue]) -> Vec<FieldRef> {
    arguments.iter().map(|argument| Arc::new(Field::new("argument", argument.data_type(), true))).collect()
}

/// Models by name, with the type that each returns.
#[derive(Debug)]
pub struct FixedModels(BTreeMap<&'static str, DataType>);

impl Default for FixedModels {
    fn default() -> Self {
        let vector = DataType::new_list(DataType::Float32, true);
        Self(BTreeMap::from([("minilm", vector), ("churn", DataType::Float64)]))
    }
}

impl ModelPort for FixedModels {
    fn output_type(&self, model: &str) -> Result<DataType> {
        match self.0.get(model) {
            Some(data_type) => Ok(data_type.clone()),
            None => plan_err!("model \"{model}\" does not exist"),
        }
    }

    fn default_embedding(&self) -> Result<String> {
        Ok("minilm".to_string())
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn integer(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in [-1, 1).
    pub fn real(&mut self) -> f64 {
        (self.integer() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| self.real() as f32).collect()
    }
}

/// The result of a measure between two vectors of single precision, one of them a constant.
pub fn one_of(function: &ScalarUDF, left: &[f32], right: &[f32]) -> f64 {
    let column = ColumnarValue::Array(Arc::new(vectors([left])));
    let constant = ColumnarValue::Scalar(ScalarValue::List(Arc::new(vectors([right]))));
    let found = invoke_array(function, vec![column, constant]).unwrap();
    found.as_primitive::<Float64Type>().value(0)
}

/// A `FLOAT[]` column.
pub fn vectors<'a>(rows: impl IntoIterator<Item = &'a [f32]>) -> ListArray {
    let rows = rows.into_iter().map(|row| Some(row.iter().copied().map(Some).collect::<Vec<_>>()));
    ListArray::from_iter_primitive::<Float32Type, _, _>(rows)
}
