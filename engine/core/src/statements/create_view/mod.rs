//! `CREATE VIEW`: a query with a name. Its stars are spelled out, so that its columns stay what they are, and what it is
//! made of is written down.

mod stars;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{CreateTableOptions, CreateView};

use super::target::{self, Target, folded};
use super::{Usage, query};
use crate::catalog::{NewView, ViewEntry, ViewUses};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::planning::{Recorder, TEMPORARY_SCHEMA, TemporaryRelation, plan_view, recording};
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "CREATE VIEW",
    usage: "CREATE [OR REPLACE] [TEMPORARY] VIEW [IF NOT EXISTS] <name> [(<column>, ...)] AS <query>",
};

pub(super) async fn run(session: &Session, state: &SessionState, view: &CreateView) -> Result<Execution> {
    check_plain(view)?;
    let (state, recorder) = recording(state, &session.sources);
    let mut target = if view.temporary { Target::temporary(&view.name)? } else { Target::of(session, &view.name)? };
    if view.if_not_exists && target.exists(session) {
        return Ok(Execution::done("CREATE VIEW")
            .with_notice("NOTICE", format!("relation \"{}\" already exists, skipping", target.name)));
    }
    let mut query = view.query.as_ref().clone();
    stars::spell_out(session, &state, &mut query).await?;
    let query = query.to_string();
    let (plan, columns) = columns(session, &state, view, &query).await?;
    let uses = uses(session, &recorder, &plan)?;
    let mut done = Execution::done("CREATE VIEW");
    let uses_temporary = uses.relations.iter().any(|used| session.temporary.name_of(used.oid).is_some());
    if uses_temporary && !target.is_temporary() {
        done = done.with_notice("NOTICE", format!("view \"{}\" will be a temporary view", target.name));
        target.schema = TEMPORARY_SCHEMA.to_owned();
    }
    let Target { schema, name } = target.clone();
    let new = NewView { schema, name, query, columns, uses, or_replace: view.or_replace };
    if target.is_temporary() {
        put_temporary(session, new)?;
        return Ok(done);
    }
    let put = target::now_or_at_commit(session, target.to_string(), "CREATE VIEW", move |session| {
        Box::pin(async move { session.engine.catalog.put_view(new).await.map(|_| ()) })
    });
    put.await
}

/// What other systems allow and this one doesn't: refused, never passed over.
fn check_plain(view: &CreateView) -> Result<()> {
    let refused = [
        (view.materialized, "CREATE MATERIALIZED VIEW"),
        (view.or_alter, "CREATE OR ALTER VIEW"),
        (view.secure, "CREATE SECURE VIEW"),
        (!view.cluster_by.is_empty(), "CLUSTER BY of a view"),
        (view.with_no_schema_binding, "WITH NO SCHEMA BINDING"),
        (view.copy_grants, "COPY GRANTS"),
        (view.to.is_some() || view.params.is_some(), "this form of CREATE VIEW"),
        (view.options != CreateTableOptions::None, "options of a view"),
        (view.comment.is_some(), "COMMENT within CREATE VIEW"),
        (
            view.columns.iter().any(|column| column.data_type.is_some() || column.options.is_some()),
            "types of columns in CREATE VIEW",
        ),
    ];
    match refused.iter().find(|(given, _)| *given) {
        Some((_, "CREATE MATERIALIZED VIEW")) => {
            Err(Error::unsupported("CREATE MATERIALIZED VIEW")
                .with_hint("CREATE TABLE ... AS keeps the rows of a query."))
        }
        Some((_, what)) => Err(Error::unsupported(what)),
        None => Ok(()),
    }
}

/// The query's plan, and the view's columns as clients will see them.
async fn columns(
    session: &Session,
    state: &SessionState,
    view: &CreateView,
    query: &str,
) -> Result<(LogicalPlan, SchemaRef)> {
    let (statement, plan) = plan_view(&session.engine, state, query).await?;
    let plan = query::with_parameters(plan, Vec::<ScalarValue>::new())?;
    let analyzed = query::analyzed(state, plan.clone())?;
    let schema = analyzed.schema().inner();
    let shown = statement.names.as_ref().map_or_else(|| Arc::clone(schema), |names| names.apply(schema));
    if view.columns.len() > shown.fields().len() {
        return Err(Error::new(Kind::SyntaxError, "CREATE VIEW specifies more column names than columns"));
    }
    let mut fields: Vec<Field> = vec![];
    let mut seen = HashSet::new();
    for (index, field) in shown.fields().iter().enumerate() {
        let name = view.columns.get(index).map_or_else(|| field.name().clone(), |column| folded(&column.name));
        if !seen.insert(name.clone()) {
            return Err(Error::new(Kind::DuplicateColumn, format!("column \"{name}\" specified more than once"))
                .with_hint("Give each column of the query a name of its own with AS."));
        }
        // A column of nothing but NULL has no type of its own; PostgreSQL makes it text.
        let data_type = if field.data_type().is_null() { DataType::Utf8 } else { field.data_type().clone() };
        fields.push(Field::new(name, data_type, true));
    }
    Ok((plan, Arc::new(Schema::new(fields))))
}

/// The relations, models and lakes that a query is made of.
fn uses(session: &Session, recorder: &Recorder, plan: &LogicalPlan) -> Result<ViewUses> {
    if let Some(name) = recorder.unbound.lock().first() {
        return Err(Error::unsupported("a view of a table that its own transaction makes")
            .with_detail(format!("\"{name}\" is there for others only after COMMIT."))
            .with_hint("Make the view after COMMIT."));
    }
    let snapshot = session.engine.catalog.snapshot();
    let mut others: BTreeSet<u32> = recorder.attachments.lock().iter().copied().collect();
    let models = model_names(plan)?;
    others.extend(models.iter().filter_map(|name| snapshot.model(name)).map(|model| model.oid));
    Ok(ViewUses { relations: recorder.relations.lock().clone(), others })
}

/// Models that the calls in a plan name.
fn model_names(plan: &LogicalPlan) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                if let Expr::ScalarFunction(call) = expression {
                    let place = match call.func.name() {
                        "ai_query" => Some(0),
                        "embed" => Some(1),
                        _ => None,
                    };
                    if let Some(Expr::Literal(ScalarValue::Utf8(Some(name)), _)) =
                        place.and_then(|place| call.args.get(place))
                    {
                        names.insert(name.clone());
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(names)
}

fn put_temporary(session: &Session, new: NewView) -> Result<()> {
    let NewView { schema, name, query, columns, uses, or_replace } = new;
    let oid = match session.temporary.find(&name) {
        Some(TemporaryRelation::View(view)) if or_replace => {
            let users = session.temporary.dependents(&[view.oid]);
            if uses.contains(view.oid) || uses.relations.iter().any(|used| users.contains(&used.name)) {
                return Err(Error::new(
                    Kind::InvalidTableDefinition,
                    format!("view \"{name}\" can't be made from itself"),
                ));
            }
            view.oid
        }
        Some(_) => return Err(Target { schema, name }.duplicate()),
        None => session.temporary.next_oid(),
    };
    let view = ViewEntry { oid, schema, name: name.clone(), query, columns, uses };
    if target::in_block(session) && !or_replace {
        session.temporary.note_in_block(&name);
    }
    session.temporary.put(&name, TemporaryRelation::View(Arc::new(view)));
    Ok(())
}
