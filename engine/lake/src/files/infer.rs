//! Columns of files that nobody has declared.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::csv::reader::Format as CsvFormat;
use datafusion::datasource::file_format::FileFormat;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::object_store::{ObjectMeta, ObjectStoreExt};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};

use super::find::{Found, compression_of, shown};
use super::options::Options;
use super::{Format, readable_schema};
use crate::error::{Error, Result};

/// Files whose heads are read at once.
const READS_MAX: usize = 16;
/// A header ends within these.
const HEADER_BYTES_MAX: usize = 1 << 20;

/// The columns of all files, as queries meet them.
pub(super) async fn schema(
    format: &Arc<dyn FileFormat>,
    found: &Found,
    kind: Format,
    session: &SessionState,
) -> Result<SchemaRef> {
    let objects: Vec<ObjectMeta> = found.files.iter().map(|file| file.object.clone()).collect();
    let schema = format.infer_schema(session, &found.store, &objects).await;
    let schema = schema.map_err(|error| unreadable(found, kind, error))?;
    match kind {
        // Its reader hands on what the files have.
        Format::Arrow => Ok(schema),
        _ => Ok(readable_schema(&schema)),
    }
}

fn unreadable(found: &Found, kind: Format, error: DataFusionError) -> Error {
    if let DataFusionError::ResourcesExhausted(_) = error.find_root() {
        return error.into();
    }
    let which = if found.files.len() == 1 { found.first() } else { format!("{} and others", found.first()) };
    Error::BrokenFile { file: which, format: kind.name(), message: error.find_root().strip_backtrace() }
}

/// The reader of CSV matches columns by place. So each file must name the same columns in the same order.
pub(super) async fn check_headers(options: &Options, found: &Found, schema: &Schema, declared: bool) -> Result<()> {
    let expected: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    if found.files.len() == 1 && !declared {
        return Ok(());
    }
    for chunk in found.files.chunks(READS_MAX) {
        let heads: Vec<_> = chunk.iter().map(|file| header(options, found, &file.object)).collect();
        for (file, names) in try_join_all(heads).await? {
            check_header(file, &names, &expected, declared)?;
        }
    }
    Ok(())
}

fn check_header(file: String, names: &[String], expected: &[String], declared: bool) -> Result<()> {
    let same = names.is_empty()
        || names.len() == expected.len()
            && (declared || names == expected)
            && names.iter().zip(expected).all(|(name, expected)| name.eq_ignore_ascii_case(expected));
    if same {
        return Ok(());
    }
    let message = format!("its header is {}, and {} is expected", names.join(", "), expected.join(", "));
    Err(Error::BrokenFile { file, format: "csv", message })
}

/// The names in a file's header; none in an empty file.
async fn header(options: &Options, found: &Found, object: &ObjectMeta) -> Result<(String, Vec<String>)> {
    let broken = |message: String| Error::BrokenFile { file: shown(object), format: "csv", message };
    let content = found.store.get(&object.location).await.map_err(deltalake::DeltaTableError::from)?;
    let content = content.into_stream().map_err(|error| DataFusionError::ObjectStore(Box::new(error))).boxed();
    let compression = options.compression(compression_of(object.location.as_ref()));
    let mut content = compression.convert_stream(content)?;
    let mut head = vec![];
    while head.len() < HEADER_BYTES_MAX {
        match content.try_next().await {
            Ok(Some(bytes)) => head.extend_from_slice(&bytes),
            Ok(None) => break,
            Err(error) => return Err(broken(error.strip_backtrace())),
        }
        if head.contains(&b'\n') {
            break;
        }
    }
    if head.is_empty() {
        return Ok((shown(object), vec![]));
    }
    let mut format = CsvFormat::default().with_header(true).with_delimiter(options.delimiter());
    if let Some(quote) = options.byte("quote") {
        format = format.with_quote(quote);
    }
    if let Some(escape) = options.byte("escape") {
        format = format.with_escape(escape);
    }
    if let Some(comment) = options.byte("comment") {
        format = format.with_comment(comment);
    }
    let (names, _) = format.infer_schema(head.as_slice(), Some(0)).map_err(|error| broken(error.to_string()))?;
    Ok((shown(object), names.fields().iter().map(|field| field.name().clone()).collect()))
}
