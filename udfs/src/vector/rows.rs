//! An array argument seen as one slice per row: offsets over one values buffer, never an array per row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type};
use datafusion_common::{Result, internal_datafusion_err, internal_err};

use super::kernels::Real;
use crate::error::FunctionError;

/// The precision in which two arguments meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    Single,
    Double,
}

impl Precision {
    /// Single where any argument holds single or half precision, else double; `None` where an argument is the
    /// untyped NULL, so that no row has a result. Anything but an array of numbers is an error.
    pub(crate) fn of(function: &'static str, arguments: &[DataType]) -> Result<Option<Precision>> {
        for (index, argument) in arguments.iter().enumerate() {
            let numbers = |element: &DataType| element.is_numeric() || element == &DataType::Null;
            if argument != &DataType::Null && !element_type(argument).is_some_and(numbers) {
                let found = crate::pg::pg_type_name(argument);
                let error = FunctionError::ArgumentType { function, position: index + 1, expected: "FLOAT[]", found };
                return Err(error.into());
            }
        }
        let single = |element: &DataType| matches!(element, DataType::Float16 | DataType::Float32);
        if arguments.contains(&DataType::Null) {
            Ok(None)
        } else if arguments.iter().filter_map(element_type).any(single) {
            Ok(Some(Precision::Single))
        } else {
            Ok(Some(Precision::Double))
        }
    }
}

fn element_type(argument: &DataType) -> Option<&DataType> {
    match argument {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        _ => None,
    }
}

/// One slice per row of a list array.
#[derive(Debug)]
pub(crate) struct Rows<T: Element> {
    values: ScalarBuffer<T>,
    spans: Spans,
    /// Where in the array's values `values` begins.
    base: usize,
    nulls: Option<NullBuffer>,
    len: usize,
}

#[derive(Debug)]
enum Spans {
    Fixed { dimension: usize },
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
}

impl<T: Element> Rows<T> {
    /// Views `array`; elements of another type are converted, those of the own type aren't copied. A row with a NULL
    /// element is an error, and so is one whose element is finite but too large for `T`.
    pub(crate) fn new(function: &'static str, array: &ArrayRef) -> Result<Self> {
        let (elements, spans) = match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                (list.values(), Spans::Small(list.offsets().clone()))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                (list.values(), Spans::Large(list.offsets().clone()))
            }
            DataType::FixedSizeList(_, dimension) => {
                let dimension = usize::try_from(*dimension).map_err(|_| internal_datafusion_err!("negative size"))?;
                (array.as_fixed_size_list().values(), Spans::Fixed { dimension })
            }
            other => return internal_err!("{function} was given {other} where it checked for a list"),
        };
        let (base, end) = spans.extent(array.len());
        if end > elements.len() || base > end {
            return internal_err!("{function}: a list reaches past its {} values", elements.len());
        }
        // Only the rows at hand are converted: a slice of a large array keeps all of its values.
        let elements = elements.slice(base, end - base);
        let (values, lost) = T::values_of(&elements)?;
        let rows = Self { values, spans, base, nulls: array.nulls().cloned(), len: array.len() };
        if let Some(nulls) = elements.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            rows.check(
                |start, end| nulls.slice(start, end - start).null_count() == 0,
                || FunctionError::NullElement { function },
            )?;
        }
        if let Some(value) = lost {
            rows.check(
                |start, end| rows.values[start..end].iter().all(|value| !value.is_overflow()),
                || FunctionError::OutOfRange { value },
            )?;
        }
        Ok(rows)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// The elements of row `index`; `None` where the vector is NULL.
    #[inline]
    pub(crate) fn row(&self, index: usize) -> Option<&[T]> {
        let (start, end) = self.span(index)?;
        self.values.get(start..end)
    }

    /// Number of elements in the rows that aren't NULL.
    pub(crate) fn element_count(&self) -> usize {
        (0..self.len).filter_map(|index| self.span(index)).map(|(start, end)| end - start).sum()
    }

    #[inline]
    fn span(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len || self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(index)) {
            return None;
        }
        let (start, end) = self.spans.span(index);
        Some((start - self.base, end - self.base))
    }

    fn check(&self, holds: impl Fn(usize, usize) -> bool, error: impl Fn() -> FunctionError) -> Result<()> {
        let mut spans = (0..self.len).filter_map(|index| self.span(index));
        if spans.all(|(start, end)| holds(start, end)) { Ok(()) } else { Err(error().into()) }
    }
}

impl Spans {
    #[inline]
    fn span(&self, index: usize) -> (usize, usize) {
        match self {
            Spans::Fixed { dimension } => (index * dimension, (index + 1) * dimension),
            Spans::Small(offsets) => (offsets[index] as usize, offsets[index + 1] as usize),
            Spans::Large(offsets) => (offsets[index] as usize, offsets[index + 1] as usize),
        }
    }

    /// Where the values of `len` rows begin and end.
    fn extent(&self, len: usize) -> (usize, usize) {
        if len == 0 {
            return (0, 0);
        }
        (self.span(0).0, self.span(len - 1).1)
    }
}

/// How elements of any numeric type become `f32` or `f64`.
pub(crate) trait Element: Real {
    /// The values, and one that was finite and overflowed, where there is one.
    fn values_of(elements: &ArrayRef) -> Result<(ScalarBuffer<Self>, Option<f64>)>;

    /// Whether the value is what a conversion that overflowed leaves.
    fn is_overflow(&self) -> bool;
}

impl Element for f32 {
    fn values_of(elements: &ArrayRef) -> Result<(ScalarBuffer<f32>, Option<f64>)> {
        match elements.data_type() {
            DataType::Float16 => {
                let halves = elements.as_primitive::<Float16Type>().values();
                Ok((halves.iter().map(|half| half.to_f32()).collect(), None))
            }
            DataType::Float64 => {
                let doubles = elements.as_primitive::<Float64Type>().values();
                let lost = doubles.iter().find(|double| double.is_finite() && (**double as f32).is_infinite());
                Ok((doubles.iter().map(|double| *double as f32).collect(), lost.copied()))
            }
            _ => Ok((converted::<Float32Type>(elements)?, None)),
        }
    }

    fn is_overflow(&self) -> bool {
        self.is_infinite()
    }
}

impl Element for f64 {
    fn values_of(elements: &ArrayRef) -> Result<(ScalarBuffer<f64>, Option<f64>)> {
        Ok((converted::<Float64Type>(elements)?, None))
    }

    fn is_overflow(&self) -> bool {
        self.is_infinite()
    }
}

fn converted<P: ArrowPrimitiveType>(elements: &ArrayRef) -> Result<ScalarBuffer<P::Native>> {
    if let Some(own) = elements.as_primitive_opt::<P>() {
        return Ok(own.values().clone());
    }
    let cast: Arc<dyn Array> = cast(elements, &P::DATA_TYPE)?;
    let array: &PrimitiveArray<P> =
        cast.as_primitive_opt().ok_or_else(|| internal_datafusion_err!("a cast gave {}", cast.data_type()))?;
    Ok(array.values().clone())
}
