//! `table_changes` and `table_diff`: how a table came from one version to another.

use std::sync::Arc;

use alluvia_lake::At;
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use futures::future::BoxFuture;
use url::Url;

use super::Call;
use super::arguments::Given;
use crate::error::{Error, Kind, Result};
use crate::planning::versions;

type Opened<'a> = BoxFuture<'a, Result<Arc<dyn TableProvider>>>;

pub(super) fn table_changes<'a>(call: &'a Call<'a>) -> Opened<'a> {
    Box::pin(async move {
        let location = table(call)?;
        let from = at(call, "from")?.unwrap_or(At::Newest);
        let to = at(call, "to")?.unwrap_or(At::Newest);
        Ok(call.session.engine.lake.changes(&location, from, to, call.state).await?)
    })
}

pub(super) fn table_diff<'a>(call: &'a Call<'a>) -> Opened<'a> {
    Box::pin(async move {
        let location = table(call)?;
        let lake = &call.session.engine.lake;
        let before = lake.open_at(&location, at(call, "from")?.unwrap_or(At::Newest)).await?;
        let after = lake.open_at(&location, at(call, "to")?.unwrap_or(At::Newest)).await?;
        Ok(lake.difference(&before, &after, call.state)?)
    })
}

/// Where the table lies that the call names.
fn table(call: &Call<'_>) -> Result<Url> {
    let name = match call.arguments.get("table") {
        Some(Given::Table(name)) => name.clone(),
        Some(Given::Value(ScalarValue::Utf8(Some(text)))) => crate::parser::object_name(text)?,
        _ => {
            let message = format!("argument \"table\" of {} must be a table's name", call.doc.name);
            return Err(Error::new(Kind::InvalidParameterValue, message));
        }
    };
    crate::statements::delta_location(call.session, &name)
}

/// A version, or a moment. `None` where it isn't given, or not known yet.
pub(super) fn at(call: &Call<'_>, argument: &str) -> Result<Option<At>> {
    let place = call.doc.name;
    match call.arguments.get(argument) {
        None | Some(Given::Unknown) => Ok(None),
        Some(Given::Value(value)) if value.data_type().is_integer() => versions::at(value, true, place).map(Some),
        Some(Given::Value(value)) => match value.data_type() {
            DataType::Utf8 | DataType::Date32 | DataType::Timestamp(..) => {
                versions::at(&in_zone(call, value)?, false, place).map(Some)
            }
            _ => Err(not_a_version(argument, place)),
        },
        Some(Given::Table(_)) => Err(not_a_version(argument, place)),
    }
}

/// A moment without a zone is one of the session's.
fn in_zone(call: &Call<'_>, value: &ScalarValue) -> Result<ScalarValue> {
    let zone = call.state.config_options().execution.time_zone.clone();
    let zone = zone.unwrap_or_else(|| "+00:00".to_string());
    let unit = arrow::datatypes::TimeUnit::Microsecond;
    let local = match value.data_type() {
        DataType::Date32 => value.cast_to(&DataType::Timestamp(unit, None))?,
        _ => value.clone(),
    };
    local.cast_to(&DataType::Timestamp(unit, Some(zone.into()))).map_err(|_| {
        let message = format!("invalid input syntax for type timestamp with time zone: \"{value}\"");
        Error::new(Kind::InvalidDatetime, message)
    })
}

fn not_a_version(argument: &str, function: &str) -> Error {
    let message = format!("argument \"{argument}\" of {function} must be a version or a timestamp");
    Error::new(Kind::InvalidParameterValue, message)
}
