//! `SELECT *` in a view's query, spelled out: a column that a table gets later is none of the view's.
//!
//! Subqueries in FROM and WITH are spelled out too, since DISTINCT and set operations depend on their columns. Those in
//! expressions stay: EXISTS doesn't care, and IN wants one column.

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins, With,
};
use futures::future::BoxFuture;

use crate::error::{Error, Result};
use crate::planning::plan_view;
use crate::session::Session;

pub(super) async fn spell_out(session: &Session, state: &SessionState, query: &mut Query) -> Result<()> {
    let expander = Expander { session, state };
    expander.query(query, &Scope::default()).await
}

/// WITH queries that may be named.
#[derive(Clone, Default)]
struct Scope {
    queries: Vec<Cte>,
    recursive: bool,
}

struct Expander<'a> {
    session: &'a Session,
    state: &'a SessionState,
}

impl Expander<'_> {
    fn query<'b>(&'b self, query: &'b mut Query, scope: &'b Scope) -> BoxFuture<'b, Result<()>> {
        Box::pin(async move {
            let mut scope = scope.clone();
            if let Some(with) = &mut query.with {
                scope.recursive |= with.recursive;
                for cte in &mut with.cte_tables {
                    if with.recursive {
                        refuse_stars(&cte.query)?;
                    }
                    self.query(&mut cte.query, &scope).await?;
                    scope.queries.push(cte.clone());
                }
            }
            self.body(&mut query.body, &scope).await
        })
    }

    fn body<'b>(&'b self, body: &'b mut SetExpr, scope: &'b Scope) -> BoxFuture<'b, Result<()>> {
        Box::pin(async move {
            match body {
                SetExpr::Select(select) => self.select(select, scope).await,
                SetExpr::Query(query) => self.query(query, scope).await,
                SetExpr::SetOperation { left, right, .. } => {
                    self.body(left, scope).await?;
                    self.body(right, scope).await
                }
                SetExpr::Values(_) => Ok(()),
                other => Err(Error::unsupported(format!("a view of {other}"))),
            }
        })
    }

    async fn select(&self, select: &mut Select, scope: &Scope) -> Result<()> {
        for from in &mut select.from {
            self.from(from, scope).await?;
        }
        if !select.projection.iter().any(is_star) {
            return Ok(());
        }
        let mut items = vec![];
        for item in std::mem::take(&mut select.projection) {
            if is_star(&item) { items.extend(self.columns(select, item, scope).await?) } else { items.push(item) }
        }
        select.projection = items;
        Ok(())
    }

    async fn from(&self, from: &mut TableWithJoins, scope: &Scope) -> Result<()> {
        self.factor(&mut from.relation, scope).await?;
        for join in &mut from.joins {
            refuse_natural(&join.join_operator)?;
            self.factor(&mut join.relation, scope).await?;
        }
        Ok(())
    }

    fn factor<'b>(&'b self, factor: &'b mut TableFactor, scope: &'b Scope) -> BoxFuture<'b, Result<()>> {
        Box::pin(async move {
            match factor {
                TableFactor::Derived { subquery, .. } => self.query(subquery, scope).await,
                TableFactor::NestedJoin { table_with_joins, .. } => self.from(table_with_joins, scope).await,
                _ => Ok(()),
            }
        })
    }

    /// The columns that a star stands for, asked of the planner.
    async fn columns(&self, select: &Select, star: SelectItem, scope: &Scope) -> Result<Vec<SelectItem>> {
        let mut probe = select.clone();
        probe.projection = vec![star];
        (probe.selection, probe.having, probe.qualify, probe.distinct) = (None, None, None, None);
        probe.group_by = GroupByExpr::Expressions(vec![], vec![]);
        probe.sort_by = vec![];
        let with = (!scope.queries.is_empty()).then(|| With {
            with_token: AttachedToken::empty(),
            recursive: scope.recursive,
            cte_tables: scope.queries.clone(),
        });
        let with = with.map_or_else(String::new, |with| format!("{with} "));
        let (_, plan) = plan_view(&self.session.engine, self.state, &format!("{with}{probe}")).await?;
        let column = |(qualifier, field): (
            Option<&datafusion::common::TableReference>,
            &std::sync::Arc<arrow::datatypes::Field>,
        )| {
            let mut parts = qualifier.map_or_else(Vec::new, |table| table.to_vec());
            parts.push(field.name().clone());
            let mut idents: Vec<Ident> = parts.iter().map(|part| ident(part)).collect();
            match (idents.len(), idents.pop()) {
                (1, Some(only)) => SelectItem::UnnamedExpr(Expr::Identifier(only)),
                (_, last) => {
                    idents.extend(last);
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents))
                }
            }
        };
        Ok(plan.schema().iter().map(column).collect())
    }
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// A name as an identifier that means it, quoted wherever it might mean something else.
fn ident(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// A column that one of the tables gets later could change which rows belong together.
fn refuse_natural(join: &JoinOperator) -> Result<()> {
    let constraint = match join {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => constraint,
        _ => return Ok(()),
    };
    match constraint {
        JoinConstraint::Natural => {
            Err(Error::unsupported("NATURAL JOIN in a view").with_hint("Write USING (column, ...)."))
        }
        _ => Ok(()),
    }
}

fn refuse_stars(query: &Query) -> Result<()> {
    use datafusion::sql::sqlparser::ast::{Visit, Visitor};
    struct Stars;
    impl Visitor for Stars {
        type Break = Error;

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
            match select.projection.iter().any(is_star) {
                true => ControlFlow::Break(
                    Error::unsupported("SELECT * in WITH RECURSIVE in a view").with_hint("Name the columns."),
                ),
                false => ControlFlow::Continue(()),
            }
        }
    }
    match query.visit(&mut Stars) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}
