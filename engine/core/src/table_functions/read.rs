//! `read_parquet`, `read_csv`, `read_json`, `read_arrow`, `read_delta`: files where they lie.

use std::sync::Arc;

use alluvia_lake::{At, Format, Reading};
use datafusion::catalog::TableProvider;
use futures::future::BoxFuture;

use super::Call;
use super::changes::at;
use crate::error::{Error, Kind, Result};
use crate::statements::columns_of;

type Opened<'a> = BoxFuture<'a, Result<Arc<dyn TableProvider>>>;

pub(super) fn parquet<'a>(call: &'a Call<'a>) -> Opened<'a> {
    Box::pin(files(call, Format::Parquet))
}

pub(super) fn csv<'a>(call: &'a Call<'a>) -> Opened<'a> {
    Box::pin(files(call, Format::Csv))
}

pub(super) fn json<'a>(call: &'a Call<'a>) -> Opened<'a> {
    Box::pin(files(call, Format::Json))
}

pub(super) fn arrow<'a>(call: &'a Call<'a>) -> Opened<'a> {
    Box::pin(files(call, Format::Arrow))
}

async fn files(call: &Call<'_>, format: Format) -> Result<Arc<dyn TableProvider>> {
    let paths = call.arguments.texts(call.doc.name, "path")?;
    let mut options = call.arguments.options.clone();
    let columns = match options.remove("columns") {
        Some(columns) => Some(columns_of(call.state, &columns)?),
        None => None,
    };
    let reading = Reading { format, paths, options, columns, partition_columns: None };
    Ok(call.session.engine.lake.files(reading, call.state).await?)
}

pub(super) fn delta<'a>(call: &'a Call<'a>) -> Opened<'a> {
    Box::pin(async move {
        let paths = call.arguments.texts(call.doc.name, "path")?;
        let [path] = paths.as_slice() else {
            return Err(Error::new(Kind::InvalidParameterValue, "read_delta reads one table"));
        };
        let location = crate::statements::location(path)?;
        let at = at(call, "version")?.unwrap_or(At::Newest);
        let lake = &call.session.engine.lake;
        Ok(lake.open_at(&location, at).await?.provider(call.state)?)
    })
}
