//! `min` and `max` of floats in groups: NaN is the greatest number, as in PostgreSQL and in the planner's own `min` and
//! `max` without groups. With groups the planner's take whatever comes after a NaN, so that the answer depends on the
//! order of rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

/// Both functions.
pub(crate) fn extremes() -> [AggregateUDF; 2] {
    [(max_udaf(), true), (min_udaf(), false)]
        .map(|(inner, greatest)| AggregateUDF::new_from_impl(Extreme { inner, greatest }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    inner: Arc<AggregateUDF>,
    greatest: bool,
}

/// The accumulator of one type of floats; it starts from the number that every other one replaces.
macro_rules! of_floats {
    ($greatest:expr, $data_type:expr, $kind:ty, $native:ty) => {
        if $greatest {
            let keep = |kept: &mut $native, new: $native| {
                if new.is_nan() || new > *kept {
                    *kept = new;
                }
            };
            let accumulator = PrimitiveGroupsAccumulator::<$kind, _>::new($data_type, keep);
            Ok(Box::new(accumulator.with_starting_value(<$native>::NEG_INFINITY)))
        } else {
            let keep = |kept: &mut $native, new: $native| {
                if kept.is_nan() || new < *kept {
                    *kept = new;
                }
            };
            let accumulator = PrimitiveGroupsAccumulator::<$kind, _>::new($data_type, keep);
            Ok(Box::new(accumulator.with_starting_value(<$native>::NAN)))
        }
    };
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(arguments)
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(arguments)
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match arguments.return_field.data_type() {
            data_type @ DataType::Float32 => of_floats!(self.greatest, data_type, Float32Type, f32),
            data_type @ DataType::Float64 => of_floats!(self.greatest, data_type, Float64Type, f64),
            _ => self.inner.create_groups_accumulator(arguments),
        }
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(arguments)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(statistics)
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
