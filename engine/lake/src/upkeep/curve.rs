//! Rows along a curve through several columns at once: neighbours on the curve are close in each of them, so that the
//! minima and maxima of a file are close too, whichever column is asked for.
//!
//! A value's place in its column is its rank among quantiles of a sample, whatever its type and however skewed its
//! values; the bits of the ranks, interleaved, are the place on the curve (Morton's, also called Z-order).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder};
use arrow::datatypes::DataType;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::Column;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, Volatility, create_udf};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;

use crate::error::{Error, Result};

/// The tag of a file whose rows follow a curve.
const TAG: &str = "alluvia.zOrderBy";
const PLACE: &str = "__alluvia_place";
const SAMPLED_ROWS: usize = 20_000;
/// Ranks of a column.
const QUANTILES: usize = 1024;
/// Bits of a rank: the quantiles are spread over them, so that columns of few values count as much as the others.
const RANK_BITS: u32 = 16;

pub(super) fn value(columns: &[String]) -> String {
    serde_json::Value::from(columns).to_string()
}

pub(super) fn tags(columns: &[String]) -> Option<HashMap<String, Option<String>>> {
    (!columns.is_empty()).then(|| HashMap::from([(TAG.to_owned(), Some(value(columns)))]))
}

pub(super) fn tag(tags: Option<&HashMap<String, Option<String>>>) -> Option<String> {
    tags?.get(TAG)?.clone()
}

/// The rows of `plan` along the curve of `columns`.
pub(super) async fn order(plan: LogicalPlan, columns: &[String], session: &SessionState) -> Result<LogicalPlan> {
    let all: Vec<Expr> = plan.schema().iter().map(|field| Expr::Column(Column::from(field))).collect();
    let keys = columns.iter().map(|name| key(&plan, name)).collect::<Result<Vec<_>>>()?;
    let types: Vec<DataType> = keys.iter().map(|(_, data_type)| data_type.clone()).collect();
    let keys: Vec<Expr> = keys.into_iter().map(|(key, _)| key).collect();
    let ranks = sample(LogicalPlanBuilder::from(plan.clone()).project(keys.clone())?.build()?, &types, session).await?;
    let place = move |values: &[ColumnarValue]| place(&ranks, values);
    let place = create_udf("alluvia_place", types, DataType::Binary, Volatility::Immutable, Arc::new(place));
    let with_place = all.iter().cloned().chain([place.call(keys).alias(PLACE)]);
    let sorted = LogicalPlanBuilder::from(plan)
        .project(with_place.collect::<Vec<_>>())?
        .sort([Expr::Column(Column::from_name(PLACE)).sort(true, true)])?;
    Ok(sorted.project(all)?.build()?)
}

fn key(plan: &LogicalPlan, name: &str) -> Result<(Expr, DataType)> {
    let found = plan.schema().iter().find(|(_, field)| field.name() == name);
    let (qualifier, field) =
        found.ok_or_else(|| Error::InvalidDefinition { message: format!("column \"{name}\" does not exist") })?;
    let data_type = field.data_type().clone();
    if data_type.is_nested() || !RowConverter::supports_fields(&[SortField::new(data_type.clone())]) {
        return Err(Error::UnsupportedFeature { name: format!("ordering rows by column \"{name}\" of this type") });
    }
    Ok((Expr::Column(Column::from((qualifier, field))), data_type))
}

/// A column's quantiles, as bytes that sort as its values do, NULL first.
struct Ranks {
    converter: RowConverter,
    bounds: Vec<OwnedRow>,
}

/// Reads the columns of `plan` once and keeps an even sample of their rows.
async fn sample(plan: LogicalPlan, types: &[DataType], session: &SessionState) -> Result<Vec<Ranks>> {
    let converter = |data_type: &DataType| RowConverter::new(vec![SortField::new(data_type.clone())]);
    let converters = types.iter().map(converter).collect::<Result<Vec<_>, _>>().map_err(DataFusionError::from)?;
    let mut samples: Vec<Vec<OwnedRow>> = types.iter().map(|_| Vec::new()).collect();
    let plan = session.create_physical_plan(&plan).await?;
    let mut batches = execute_stream(plan, session.task_ctx())?;
    let mut held = MemoryConsumer::new("sample of rows").register(&session.runtime_env().memory_pool);
    let (mut seen, mut random) = (0u64, 0x9e37_79b9_7f4a_7c15u64);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let rows = batch
            .columns()
            .iter()
            .zip(&converters)
            .map(|(column, converter)| converter.convert_columns(std::slice::from_ref(column)));
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(DataFusionError::from)?;
        for row in 0..batch.num_rows() {
            seen += 1;
            // Each row is in the sample with the same chance; the numbers are the same at each run.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let slot = usize::try_from(random % seen).unwrap_or(usize::MAX);
            for (sample, rows) in samples.iter_mut().zip(&rows) {
                let slot = if sample.len() < SAMPLED_ROWS { sample.len() } else { slot };
                keep(sample, slot, rows.row(row).owned(), &mut held)?;
            }
        }
    }
    let ranks = converters.into_iter().zip(samples);
    Ok(ranks.map(|(converter, sample)| Ranks { converter, bounds: quantiles(sample) }).collect())
}

/// Puts a row into its slot, or behind the last; a slot further out drops it.
fn keep(sample: &mut Vec<OwnedRow>, slot: usize, row: OwnedRow, held: &mut MemoryReservation) -> Result<()> {
    let bytes = |row: &OwnedRow| row.as_ref().len() + size_of::<OwnedRow>();
    if slot == sample.len() {
        held.try_grow(bytes(&row))?;
        sample.push(row);
    } else if let Some(kept) = sample.get_mut(slot) {
        held.try_resize((held.size() + bytes(&row)).saturating_sub(bytes(kept)))?;
        *kept = row;
    }
    Ok(())
}

fn quantiles(mut sample: Vec<OwnedRow>) -> Vec<OwnedRow> {
    sample.sort();
    let step = sample.len().div_ceil(QUANTILES).max(1);
    let mut bounds: Vec<OwnedRow> = sample.into_iter().step_by(step).skip(1).collect();
    bounds.dedup();
    bounds
}

impl Ranks {
    /// Places of the values, from 0 to 2 ** [`RANK_BITS`].
    fn of(&self, values: &ArrayRef) -> Result<Vec<u16>, DataFusionError> {
        let rows = self.converter.convert_columns(std::slice::from_ref(values))?;
        let most = (1u64 << RANK_BITS) - 1;
        let ranks = self.bounds.len().max(1) as u64;
        let rank = |row: arrow::row::Row<'_>| self.bounds.partition_point(|bound| bound.row() <= row) as u64;
        Ok(rows.iter().map(|row| u16::try_from(rank(row) * most / ranks).unwrap_or(u16::MAX)).collect())
    }
}

fn place(ranks: &[Ranks], values: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let values = ColumnarValue::values_to_arrays(values)?;
    let columns = ranks.iter().zip(&values).map(|(ranks, values)| ranks.of(values)).collect::<Result<Vec<_>, _>>()?;
    let rows = columns.first().map_or(0, Vec::len);
    let mut places = BinaryBuilder::with_capacity(rows, rows * columns.len() * 2);
    let mut key = Vec::with_capacity(columns.len() * 2);
    for row in 0..rows {
        key.clear();
        interleave(columns.iter().filter_map(|column| column.get(row).copied()), &mut key);
        places.append_value(&key);
    }
    Ok(ColumnarValue::Array(Arc::new(places.finish())))
}

/// The highest bit of each number, then the next of each, and so on.
fn interleave(numbers: impl Iterator<Item = u16> + Clone, key: &mut Vec<u8>) {
    let (mut byte, mut bits) = (0u8, 0);
    for bit in (0..RANK_BITS).rev() {
        for number in numbers.clone() {
            byte = byte << 1 | u8::from(number >> bit & 1 == 1);
            bits += 1;
            if bits == 8 {
                key.push(byte);
                (byte, bits) = (0, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_the_ranks_alternate() {
        let mut key = Vec::new();
        interleave([0b1010_0000_0000_0001u16, 0b0100_0000_0000_0000].into_iter(), &mut key);
        assert_eq!(key, [0b1001_1000, 0, 0, 0b0000_0010]);
    }
}
