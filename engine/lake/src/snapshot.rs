//! A table as one version of its log has it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use deltalake::delta_datafusion::DeltaScanConfig;
use deltalake::kernel::transaction::PROTOCOL;
use deltalake::kernel::{Action, DataType, EagerSnapshot, StructTypeExt};
use deltalake::logstore::{LogStoreRef, get_actions};
use deltalake::table::config::TablePropertiesExt;
use deltalake::{DeltaTable, DeltaTableError};
use url::Url;

use crate::commit::is_private;
use crate::definition::{COMMENT, Check, Generated};
use crate::error::{Error, Result};
use crate::rules::Demands;
use crate::scan::{self, FileInfo, FileList, RowScan};
use crate::types::plain_schema;

/// How far back a refused log is searched for its protocol.
const SEARCHED_VERSIONS_MAX: usize = 100;
/// The highest reader version of the protocol; features have names from there on.
const READER_VERSION_MAX: i32 = 3;
/// The property that says whether the files use the schema's names.
const COLUMN_MAPPING_MODE: &str = "delta.columnMapping.mode";

/// A version of a table that never changes: what it holds, and what it demands of rows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: Url,
    log_store: LogStoreRef,
    state: Arc<EagerSnapshot>,
    schema: SchemaRef,
    partition_columns: Vec<String>,
    checks: Vec<Check>,
    invariants: Vec<Check>,
    generated: Vec<Generated>,
    properties: BTreeMap<String, String>,
    /// The schema as the log annotates it, where the table has column mapping.
    mapped: Option<SchemaRef>,
    /// Listed when a scan first asks for them.
    files: OnceLock<FileList>,
}

impl Snapshot {
    /// The newest version of the table at `location`.
    pub(crate) async fn newest(location: Url, log_store: LogStoreRef) -> Result<Snapshot> {
        Snapshot::load(location, log_store, None).await
    }

    /// A version of the table at `location`, the newest when none is given.
    pub(crate) async fn load(location: Url, log_store: LogStoreRef, version: Option<u64>) -> Result<Snapshot> {
        match EagerSnapshot::try_new(log_store.as_ref(), version).await {
            Ok(state) => Snapshot::of(location, log_store, state),
            Err(error) => Err(refusal(&log_store, error).await),
        }
    }

    /// What `state` says.
    pub(crate) fn of(location: Url, log_store: LogStoreRef, state: EagerSnapshot) -> Result<Snapshot> {
        let kernel_schema = state.schema();
        // The library hands on the bytes that variants are encoded as, which nobody takes for their values.
        if kernel_schema.fields().any(|field| holds_variant(field.data_type())) {
            return Err(Error::UnsupportedFeature { name: "variantType".to_owned() });
        }
        let metadata_error = |error: deltalake::kernel::Error| Error::Delta(error.into());
        let constraints = state.table_properties().get_constraints();
        let mut checks: Vec<Check> =
            constraints.into_iter().map(|check| Check { name: check.name, expression_sql: check.expr }).collect();
        checks.sort_by(|left, right| left.name.cmp(&right.name));
        let invariants = kernel_schema.get_invariants().map_err(metadata_error)?;
        let invariants = invariants.into_iter();
        let generated = kernel_schema.get_generated_columns().map_err(metadata_error)?;
        let mut generated: Vec<Generated> = generated
            .into_iter()
            .map(|generated| Generated { column: generated.name, expression_sql: generated.generation_expr })
            .collect();
        let annotated = state.arrow_schema();
        let schema = plain_schema(&annotated);
        let mode = state.metadata().configuration().get(COLUMN_MAPPING_MODE);
        let mapped = mode.is_some_and(|mode| mode != "none").then_some(annotated);
        generated.sort_by_key(|generated| schema.index_of(&generated.column).ok());
        let inner = Inner {
            location,
            log_store,
            schema,
            mapped,
            partition_columns: state.metadata().partition_columns().to_vec(),
            checks,
            invariants: invariants
                .map(|rule| Check { name: rule.field_name, expression_sql: rule.invariant_sql })
                .collect(),
            generated,
            properties: state.metadata().configuration().clone().into_iter().collect(),
            state: Arc::new(state),
            files: OnceLock::new(),
        };
        Ok(Snapshot { inner: Arc::new(inner) })
    }

    /// The columns in the table's order, as the table stores them (text is `Utf8`), NOT NULL as nullability.
    pub fn schema(&self) -> SchemaRef {
        self.inner.schema.clone()
    }

    pub fn version(&self) -> u64 {
        self.inner.state.version()
    }

    pub fn partition_columns(&self) -> &[String] {
        &self.inner.partition_columns
    }

    /// By name.
    pub fn checks(&self) -> &[Check] {
        &self.inner.checks
    }

    /// In the order of the columns.
    pub fn generated(&self) -> &[Generated] {
        &self.inner.generated
    }

    /// All properties of the table, those of the format (`delta.`) included.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.inner.properties
    }

    /// Whether rows can only be added.
    pub fn is_append_only(&self) -> bool {
        self.inner.state.table_properties().append_only()
    }

    /// Whether changes of rows are kept for the change data feed.
    pub fn keeps_changes(&self) -> bool {
        let features = self.inner.state.protocol().writer_features();
        let can =
            features.is_none_or(|features| features.iter().any(|feature| feature.to_string() == "changeDataFeed"));
        can && self.inner.state.table_properties().enable_change_data_feed()
    }

    /// Whether every changed row must go through a plan, because later statements of the same transaction block may
    /// write changes: where there are change files, readers look at nothing else.
    pub fn tells_all_changes(&self) -> bool {
        self.keeps_changes() && is_private(&self.inner.log_store)
    }

    pub fn comment(&self) -> Option<&str> {
        self.inner.state.metadata().description()
    }

    /// What is said about columns, by their names.
    pub fn column_comments(&self) -> BTreeMap<String, String> {
        let schema = self.inner.state.schema();
        let comment = |field: &deltalake::kernel::StructField| match field.metadata().get(COMMENT) {
            Some(deltalake::kernel::MetadataValue::String(text)) => Some((field.name().clone(), text.clone())),
            _ => None,
        };
        schema.fields().filter_map(comment).collect()
    }

    /// Whether the files call columns by other names than the schema.
    pub(crate) fn is_mapped(&self) -> bool {
        self.inner.mapped.is_some()
    }

    /// How long files stay that no version names any more.
    pub fn deleted_file_retention(&self) -> std::time::Duration {
        self.inner.state.table_properties().deleted_file_retention_duration()
    }

    /// The table's folder; its path ends with a slash.
    pub fn location(&self) -> &Url {
        &self.inner.location
    }

    /// A table to scan, and only to scan: rows go in through [`crate::Lake::append`], which keeps the constraints.
    ///
    /// Text and binary come as views (`Utf8View`, `BinaryView`) where the session's
    /// `datafusion.execution.parquet.schema_force_view_types` is on, which is its default; partition columns are plain
    /// like the others, not dictionaries. The store is registered with the session's runtime.
    pub fn provider(&self, session: &SessionState) -> Result<Arc<dyn TableProvider>> {
        self.rows(session, RowScan::default())
    }

    /// The same with some of its files only, and with columns that say where a row comes from.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a file is asked for that this version doesn't have; [`Error::InvalidDefinition`] when
    /// the table has a column of the name of an extra one.
    pub fn rows(&self, session: &SessionState, scan: RowScan) -> Result<Arc<dyn TableProvider>> {
        scan::provider(self, session, scan)
    }

    /// The files of this version, in the log's order.
    pub fn files(&self) -> impl Iterator<Item = FileInfo> + '_ {
        let views = self.inner.state.log_data();
        let files = views.iter().map(|file| FileInfo {
            path: file.path().into_owned(),
            bytes: u64::try_from(file.size()).unwrap_or_default(),
            rows: file.num_records().and_then(|rows| u64::try_from(rows).ok()),
            partition_values: file.partition_values_map().into_iter().collect(),
            modified_ms: file.modification_time(),
            has_deletions: file.deletion_vector_descriptor().is_some(),
        });
        files.collect::<Vec<_>>().into_iter()
    }

    pub(crate) fn file_list(&self) -> Result<&FileList> {
        if let Some(files) = self.inner.files.get() {
            return Ok(files);
        }
        let files = FileList::of(&self.inner.state)?;
        Ok(self.inner.files.get_or_init(|| files))
    }

    /// How the library's scans give a table's columns.
    pub(crate) fn scan_config(&self, session: &SessionState) -> Result<DeltaScanConfig> {
        DeltaTable::new(self.inner.log_store.clone()).update_datafusion_session(session)?;
        // Dictionaries would reach the client as such; a partition value costs little as plain text.
        Ok(DeltaScanConfig::new_from_session(session).with_wrap_partition_values(false))
    }

    /// As queries scan, but with plain text whatever the session says.
    pub(crate) fn plain_scan_config(&self, session: &SessionState) -> Result<DeltaScanConfig> {
        Ok(DeltaScanConfig { schema_force_view_types: false, ..self.scan_config(session)? })
    }

    pub(crate) fn state_ref(&self) -> Arc<EagerSnapshot> {
        self.inner.state.clone()
    }

    pub(crate) fn state(&self) -> &EagerSnapshot {
        &self.inner.state
    }

    pub(crate) fn log_store(&self) -> &LogStoreRef {
        &self.inner.log_store
    }

    pub(crate) fn demands(&self) -> Demands<'_> {
        Demands {
            schema: &self.inner.schema,
            partition_columns: &self.inner.partition_columns,
            checks: &self.inner.checks,
            invariants: &self.inner.invariants,
            generated: &self.inner.generated,
            mapped: self.inner.mapped.as_ref(),
        }
    }
}

fn holds_variant(data_type: &DataType) -> bool {
    match data_type {
        DataType::Primitive(_) => false,
        DataType::Array(array) => holds_variant(array.element_type()),
        DataType::Struct(fields) => fields.fields().any(|field| holds_variant(field.data_type())),
        DataType::Map(map) => holds_variant(map.key_type()) || holds_variant(map.value_type()),
        DataType::Variant(_) => true,
    }
}

/// Why a log could not be read: a feature that this engine lacks, where its newest protocol names one. The library
/// says so in words only.
async fn refusal(log_store: &LogStoreRef, error: DeltaTableError) -> Error {
    let Ok(newest) = log_store.get_latest_version(0).await else { return error.into() };
    for version in (0..=newest).rev().take(SEARCHED_VERSIONS_MAX) {
        let Ok(Some(entry)) = log_store.read_commit_entry(version).await else { break };
        let Ok(actions) = get_actions(version, &entry) else { break };
        for action in actions {
            if let Action::Protocol(protocol) = action {
                let version = protocol.min_reader_version();
                if version > READER_VERSION_MAX {
                    return Error::UnsupportedFeature { name: format!("reader version {version}") };
                }
                let readable = PROTOCOL.can_read_from_protocol(&protocol);
                return readable.err().map_or(error, DeltaTableError::from).into();
            }
        }
    }
    error.into()
}
