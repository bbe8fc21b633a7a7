//! The rows that are there, against constraints that are about to be.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;

use super::apply::Draft;
use crate::error::{Error, Result};
use crate::rules::{Demands, Rules};
use crate::snapshot::Snapshot;
use crate::writer::Intake;

/// Fails with the first row that breaks one of the draft's new constraints, or when one can't be kept.
pub(super) async fn check_rows(snapshot: &Snapshot, draft: &Draft, session: &SessionState) -> Result<()> {
    if draft.new_checks.is_empty() && draft.new_promises.is_empty() {
        return Ok(());
    }
    let fields = draft.schema.iter().map(|field| {
        let nullable = !draft.new_promises.contains(field.name());
        field.clone().with_nullable(nullable)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let demands = Demands {
        schema: &schema,
        partition_columns: &[],
        checks: &draft.new_checks,
        invariants: &[],
        generated: &[],
        mapped: None,
    };
    let rules = Rules::compile(&demands, &snapshot.schema(), session).and_then(|rules| {
        rules.refuse_volatile()?;
        Ok(rules)
    });
    let rules = rules.map_err(|error| match error {
        // Of a constraint that the log has already it would be a feature of another engine; here it is a mistake.
        Error::UnsupportedFeature { name } => Error::InvalidDefinition { message: name },
        other => other,
    })?;
    let provider = snapshot.provider(session)?;
    let plan = LogicalPlanBuilder::scan("rows", provider_as_source(provider), None)?.build()?;
    let plan = session.create_physical_plan(&plan).await?;
    let mut rows = execute_stream(plan, session.task_ctx())?;
    while let Some(batch) = rows.try_next().await? {
        rules.take(&batch)?;
    }
    Ok(())
}
