//! `sum` of integers: a total that doesn't fit a `bigint` is an error, where the planner's own would wrap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::sum_checked;
use arrow::datatypes::{ArrowNativeTypeOp, DataType, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

use super::arithmetic::out_of_range;
use crate::error::Error;

pub(crate) fn checked_sum() -> AggregateUDF {
    AggregateUDF::new_from_impl(CheckedSum { inner: Sum::new() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    inner: Sum,
}

fn is_checked(arguments: &AccumulatorArgs<'_>) -> bool {
    !arguments.is_distinct && arguments.return_field.data_type() == &DataType::Int64
}

fn is_distinct(arguments: &AccumulatorArgs<'_>) -> bool {
    arguments.is_distinct && arguments.return_field.data_type() == &DataType::Int64
}

/// Distinct values collected as the planner's own does, and added with a check.
#[derive(Debug)]
struct DistinctTotal {
    inner: Box<dyn Accumulator>,
}

impl Accumulator for DistinctTotal {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    /// The state is one list: the distinct values.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.inner.state()?;
        let [ScalarValue::List(values)] = state.as_slice() else {
            return Err(Error::internal("a distinct sum keeps its values in a list").into());
        };
        let values = values.values().as_primitive::<Int64Type>();
        if values.null_count() == values.len() {
            return Ok(ScalarValue::Int64(None));
        }
        // Wide enough for any number of them, in any order.
        let total: i128 = values.iter().flatten().map(i128::from).sum();
        Ok(ScalarValue::Int64(Some(i64::try_from(total).map_err(|_| out_of_range(&DataType::Int64))?)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}

impl AggregateUDFImpl for CheckedSum {
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
        if is_checked(&arguments) {
            return Ok(Box::<Total>::default());
        }
        let distinct = is_distinct(&arguments);
        let inner = self.inner.accumulator(arguments)?;
        Ok(if distinct { Box::new(DistinctTotal { inner }) } else { inner })
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(arguments)
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        if is_checked(&arguments) {
            Ok(Box::new(Totals::new()))
        } else {
            self.inner.create_groups_accumulator(arguments)
        }
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if is_checked(&arguments) {
            Ok(Box::<Total>::default())
        } else if is_distinct(&arguments) {
            Err(Error::unsupported("sum(DISTINCT bigint) over a moving window frame")
                .with_hint("Cast the argument to numeric.")
                .into())
        } else {
            self.inner.create_sliding_accumulator(arguments)
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// One total, kept wide: only what it comes to must fit.
#[derive(Debug, Default)]
struct Total {
    sum: i128,
    count: u64,
}

impl Total {
    fn value(&self) -> Result<ScalarValue> {
        if self.count == 0 {
            return Ok(ScalarValue::Int64(None));
        }
        let sum = i64::try_from(self.sum).map_err(|_| out_of_range(&DataType::Int64))?;
        Ok(ScalarValue::Int64(Some(sum)))
    }
}

fn wide_sum(array: &ArrayRef) -> (i128, u64) {
    let values = array.as_primitive::<Int64Type>();
    let count = (values.len() - values.null_count()) as u64;
    // Almost always a batch's sum fits, and then it is a vectorised one.
    let sum = match sum_checked(values) {
        Ok(sum) => sum.map_or(0, i128::from),
        Err(_) => values.iter().flatten().map(i128::from).sum(),
    };
    (sum, count)
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for array in values {
            let (sum, count) = wide_sum(array);
            self.sum += sum;
            self.count += count;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for array in values {
            let (sum, count) = wide_sum(array);
            self.sum -= sum;
            self.count = self.count.saturating_sub(count);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.value()
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// Totals by group. The addition notes that it overflowed, since it can't fail.
struct Totals {
    inner: Box<dyn GroupsAccumulator>,
    overflowed: Arc<AtomicBool>,
}

impl Totals {
    fn new() -> Self {
        let overflowed = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&overflowed);
        let inner =
            PrimitiveGroupsAccumulator::<Int64Type, _>::new(
                &DataType::Int64,
                move |total: &mut i64, value| match total.add_checked(value) {
                    Ok(sum) => *total = sum,
                    Err(_) => noted.store(true, Ordering::Relaxed),
                },
            );
        Self { inner: Box::new(inner), overflowed }
    }

    fn check(&self) -> Result<()> {
        if self.overflowed.load(Ordering::Relaxed) { Err(out_of_range(&DataType::Int64).into()) } else { Ok(()) }
    }
}

impl GroupsAccumulator for Totals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.inner.update_batch(values, groups, filter, group_count)?;
        self.check()
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.inner.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.inner.merge_batch(values, groups, group_count)?;
        self.check()
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}
