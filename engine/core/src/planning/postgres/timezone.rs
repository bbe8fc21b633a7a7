//! `x AT TIME ZONE zone`, which is `timezone(zone, x)`: a moment becomes the local time there, and a local time there
//! becomes a moment.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeZone};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;

use super::{Operation, function};
use crate::error::{Error, Kind};

pub(crate) fn timezone() -> ScalarUDF {
    function(AtTimeZone)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AtTimeZone;

impl Operation for AtTimeZone {
    fn name(&self) -> &'static str {
        "timezone"
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let moment = matches!(arguments.get(1), Some(DataType::Timestamp(_, Some(_))));
        let zone = (!moment).then(|| Arc::from("UTC"));
        Ok(DataType::Timestamp(TimeUnit::Microsecond, zone))
    }

    fn coerce(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = |zone| Ok(vec![DataType::Utf8, DataType::Timestamp(TimeUnit::Microsecond, zone)]);
        match arguments {
            [_, DataType::Timestamp(_, Some(_))] => wanted(Some(Arc::from("UTC"))),
            [_, DataType::Timestamp(_, None) | DataType::Date32 | DataType::Null] => wanted(None),
            // A bare literal is a moment, as in PostgreSQL.
            [_, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8] => wanted(Some(Arc::from("UTC"))),
            _ => Err(Error::new(Kind::UndefinedFunction, "AT TIME ZONE takes a timestamp and a zone's name").into()),
        }
    }

    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let [zones, values] = arguments else { return Err(Error::internal("timezone takes two values").into()) };
        let moment = matches!(values.data_type(), DataType::Timestamp(_, Some(_)));
        let naive = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, moment.then(|| Arc::from("UTC"))))?;
        let (zones, values) = (zones.as_string::<i32>(), naive.as_primitive::<TimestampMicrosecondType>());
        let mut known: Option<(String, chrono_tz::Tz)> = None;
        let convert = |row: usize| -> Result<Option<i64>> {
            if zones.is_null(row) || values.is_null(row) {
                return Ok(None);
            }
            let name = zones.value(row);
            let zone = match &known {
                Some((known, zone)) if known == name => *zone,
                _ => {
                    let zone = zone(name)?;
                    known = Some((name.to_string(), zone));
                    zone
                }
            };
            let micros = values.value(row);
            let shifted = if moment { local_of(zone, micros) } else { moment_of(zone, micros) };
            let out_of_range = || Error::new(Kind::InvalidDatetime, "timestamp out of range");
            Ok(Some(shifted.ok_or_else(out_of_range)?))
        };
        let shifted = (0..values.len()).map(convert).collect::<Result<PrimitiveArray<TimestampMicrosecondType>>>()?;
        let zone = (!moment).then(|| Arc::from("UTC"));
        Ok(Arc::new(shifted.with_data_type(DataType::Timestamp(TimeUnit::Microsecond, zone))))
    }
}

fn zone(name: &str) -> Result<chrono_tz::Tz> {
    let known = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
    known.copied().ok_or_else(|| {
        Error::new(Kind::InvalidParameterValue, format!("time zone \"{name}\" not recognized"))
            .with_hint("Use a name of the IANA database, such as Europe/Berlin.")
            .into()
    })
}

fn local_of(zone: chrono_tz::Tz, micros: i64) -> Option<i64> {
    let utc = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let seconds = zone.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    micros.checked_add(i64::from(seconds) * 1_000_000)
}

/// A local time that comes twice is read as standard time, and one that never comes with the offset before the gap, as
/// PostgreSQL does.
fn moment_of(zone: chrono_tz::Tz, micros: i64) -> Option<i64> {
    let local = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let offset = match zone.offset_from_local_datetime(&local) {
        LocalResult::Single(offset) => offset.fix(),
        LocalResult::Ambiguous(_, late) => late.fix(),
        LocalResult::None => {
            let before: NaiveDateTime = local.checked_sub_signed(chrono::TimeDelta::hours(3))?;
            zone.offset_from_local_datetime(&before).earliest()?.fix()
        }
    };
    micros.checked_sub(i64::from(offset.local_minus_utc()) * 1_000_000)
}
