//! A MERGE with its two tables named: which they are, how expressions call them, and what its clauses mean by their
//! columns.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvia_lake::{Operation, RowScan, Snapshot, storable};
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Ident, Merge, MergeAction, MergeClause, MergeClauseKind, ObjectName, TableAlias, TableFactor, With,
};

use super::super::query;
use super::super::target::{Target, folded};
use super::clauses::{Clauses, Columns};
use super::queries::{FILE, Parameters, Queries, ROW, SOURCE, TARGET};
use super::rewrite::Shape;
use crate::error::{Error, Kind, Result};
use crate::parser::merging;
use crate::planning::trees;
use crate::planning::with_given;
use crate::session::Session;

pub(super) struct Named<'a> {
    /// WITH in front of the statement.
    with: Option<&'a With>,
    merge: &'a Merge,
    pub target: Target,
    target_name: Ident,
    source_name: Ident,
    source: TableFactor,
}

impl<'a> Named<'a> {
    pub fn of(session: &Session, with: Option<&'a With>, merge: &'a Merge) -> Result<Named<'a>> {
        if merge.output.is_some() {
            return Err(Error::unsupported("MERGE ... RETURNING")
                .with_hint("Read the changed rows with a query of their own, or from the table's change data feed."));
        }
        let TableFactor::Table { name, alias, args: None, version: None, .. } = &merge.table else {
            return Err(Error::unsupported("MERGE into anything but a table"));
        };
        let target = Target::existing(session, name)?;
        let target_name = known_as(name, alias.as_ref())?;
        let mut source = merge.source.clone();
        let source_name = match &mut source {
            TableFactor::Table { name, alias, .. } => known_as(name, alias.as_ref())?,
            TableFactor::Derived { alias: alias @ None, .. } => {
                let name = Ident::with_quote('"', "__alluvia_source");
                *alias = Some(trees::alias(&name));
                name
            }
            TableFactor::Derived { alias: Some(alias), .. } => alias.name.clone(),
            TableFactor::NestedJoin { .. } => {
                return Err(Error::unsupported("MERGE USING a join")
                    .with_hint("Put it into a query: USING (SELECT ... FROM a JOIN b ON ...) AS s."));
            }
            other => return Err(Error::unsupported(format!("MERGE USING {other}"))),
        };
        if folded(&target_name) == folded(&source_name) {
            let message = format!("name \"{}\" specified more than once", folded(&source_name));
            return Err(Error::new(Kind::DuplicateAlias, message).with_hint("Give one of the two tables an alias."));
        }
        Ok(Named { with, merge, target, target_name, source_name, source })
    }

    /// The source as a query.
    pub async fn source_plan(&self, session: &Session, state: &SessionState) -> Result<LogicalPlan> {
        let query = trees::select(self.with, vec![trees::star()], trees::from(self.source.clone()), None);
        query::plan(session, state, &query).await
    }

    /// `state` with the target, or `files` of it, and the source.
    pub fn tables(
        &self,
        state: &SessionState,
        snapshot: &Snapshot,
        files: Option<&BTreeSet<String>>,
        source: Arc<dyn TableProvider>,
    ) -> Result<SessionState> {
        let mut plain = state.clone();
        // The rows are on their way back into files, which hold plain text.
        plain.config_mut().options_mut().execution.parquet.schema_force_view_types = false;
        let scan = RowScan { files: files.cloned(), file_column: Some(FILE.into()), row_column: Some(ROW.into()) };
        let target = snapshot.rows(&plain, scan)?;
        Ok(with_given(state, vec![(TARGET, target), (SOURCE, source)]))
    }

    pub fn queries<'b>(
        &'b self,
        session: &'b Session,
        state: &'b SessionState,
        parameters: &'b Parameters,
    ) -> Queries<'b> {
        let (target, source, on) = (&self.target_name, &self.source_name, self.merge.on.as_ref());
        Queries { session, state, with: self.with, target, source, on, parameters }
    }

    /// What the table's history says of it.
    pub fn operation(&self) -> Operation {
        let of = |kinds: &[MergeClauseKind]| {
            self.merge.clauses.iter().filter(|clause| kinds.contains(&clause.clause_kind)).map(recorded).collect()
        };
        Operation::Merge {
            predicate: self.merge.on.to_string(),
            matched: of(&[MergeClauseKind::Matched]),
            not_matched: of(&[MergeClauseKind::NotMatched, MergeClauseKind::NotMatchedByTarget]),
            not_matched_by_source: of(&[MergeClauseKind::NotMatchedBySource]),
        }
    }
}

fn recorded(clause: &MergeClause) -> alluvia_lake::Clause {
    let action = match &clause.action {
        MergeAction::Insert(_) => "insert",
        MergeAction::Update(update) if merging::does_nothing(update) => "nothing",
        MergeAction::Update(_) => "update",
        MergeAction::Delete { .. } => "delete",
    };
    let predicate = clause.predicate.as_ref().map(ToString::to_string);
    alluvia_lake::Clause { action: action.to_string(), predicate }
}

fn known_as(name: &ObjectName, alias: Option<&TableAlias>) -> Result<Ident> {
    if let Some(alias) = alias {
        return Ok(alias.name.clone());
    }
    let last = name.0.last().and_then(|part| part.as_ident()).cloned();
    last.ok_or_else(|| Error::unsupported(format!("the name {name}")))
}

/// The clauses, now that the columns of both tables are known.
pub(super) struct Resolved {
    pub clauses: Clauses,
    pub shape: Shape,
    /// Columns that the target gets.
    pub added: Vec<Field>,
}

impl Resolved {
    pub fn of(named: &Named<'_>, snapshot: &Snapshot, source: &Schema) -> Result<Resolved> {
        let evolves = merging::evolves_schema(&named.merge.optimizer_hints);
        let stored = snapshot.schema();
        let extended = if evolves { extended(&stored, source)? } else { SchemaRef::clone(&stored) };
        let columns = Columns {
            target: &extended,
            generated: Columns::generated_of(snapshot),
            source: source.fields().iter().map(|field| field.name().as_str()).collect(),
            target_name: &named.target_name,
            source_name: &named.source_name,
            evolves,
        };
        let clauses = columns.read(named.merge)?;
        // Of the source's columns those that no clause assigns aren't added.
        let assigned = |field: &FieldRef| clauses.assign(field.name());
        let added: Vec<FieldRef> =
            extended.fields().iter().skip(stored.fields().len()).filter(|field| assigned(field)).cloned().collect();
        let fields: Vec<FieldRef> = stored.fields().iter().chain(&added).cloned().collect();
        let schema = Arc::new(Schema::new(fields));
        let shape = Shape { schema, stored: stored.fields().len(), before: snapshot.keeps_changes() };
        Ok(Resolved { clauses, shape, added: added.iter().map(|field| field.as_ref().clone()).collect() })
    }
}

/// The target's columns, and after them those of the source that it lacks, as it would store them.
fn extended(target: &SchemaRef, source: &Schema) -> Result<SchemaRef> {
    let mut fields: Vec<FieldRef> = target.fields().iter().cloned().collect();
    for field in source.fields() {
        if target.field_with_name(field.name()).is_err() {
            let data_type = storable(field.data_type()).map_err(|error| match error {
                alluvia_lake::Error::UnsupportedType { data_type, .. } => {
                    alluvia_lake::Error::UnsupportedType { column: field.name().clone(), data_type }
                }
                other => other,
            })?;
            fields.push(Arc::new(Field::new(field.name(), data_type, true)));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}
