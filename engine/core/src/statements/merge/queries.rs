//! The queries behind a MERGE: its tables under their names, its conditions and values as expressions over them.
//!
//! The target is scanned with two columns more, file and row; the source has been kept, with a column for its row. So
//! what a query finds can be held against what another finds.

use std::sync::Arc;

use alluvia_udfs::ModelFunction;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Ident, Statement, TableFactor, TableWithJoins, With};

use super::clauses::{Action, Clause, Clauses};
use crate::error::{Error, Kind, Result};
use crate::kept::KEPT_ROW;
use crate::planning::given_name;
use crate::planning::trees::{self, and, boolean, case, column, item, number};
use crate::session::Session;
use crate::statements::query;

pub(super) const TARGET: &str = "target";
pub(super) const SOURCE: &str = "source";
/// Names of the target's extra columns.
pub(super) const FILE: &str = "__alluvia_file";
pub(super) const ROW: &str = "__alluvia_row";
/// The number of the clause that a row falls under.
pub(super) const CLAUSE: &str = "__alluvia_clause";
/// Clauses of target rows that no source row matches are numbered from here.
pub(super) const UNMATCHED: usize = 1_000_000;

/// What every query of one MERGE shares.
pub(super) struct Queries<'a> {
    pub session: &'a Session,
    /// Knows the two tables by the names that [`given_name`] makes of [`TARGET`] and [`SOURCE`].
    pub state: &'a SessionState,
    pub with: Option<&'a With>,
    pub target: &'a Ident,
    pub source: &'a Ident,
    pub on: &'a SqlExpr,
    pub parameters: &'a Parameters,
}

/// Values of `$1`, `$2`, ...; none yet when the statement is only described.
pub(super) enum Parameters {
    Unknown,
    Known(Vec<ScalarValue>),
}

impl Parameters {
    pub fn set(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        match self {
            Parameters::Unknown => Ok(plan),
            Parameters::Known(values) => query::with_parameters(plan, values.clone()),
        }
    }
}

/// Clauses as expressions over a plan's rows.
pub(super) struct Planned {
    pub input: LogicalPlan,
    pub clause: Expr,
    /// For each clause its values by column.
    pub values: Vec<(usize, Vec<(String, Expr)>)>,
}

impl Queries<'_> {
    /// Pairs of target and source rows that match: file, row, source row, clause.
    pub async fn pairs(&self, clauses: &Clauses) -> Result<LogicalPlan> {
        let mut items = vec![item(column(self.source, KEPT_ROW), KEPT_ROW)];
        if !clauses.matched.is_empty() || !clauses.unmatched.is_empty() {
            items.push(item(column(self.target, FILE), FILE));
            items.push(item(column(self.target, ROW), ROW));
            items.push(item(chosen(&clauses.matched, 0), CLAUSE));
        }
        let from = trees::inner_join(self.target_table(), self.source_table(), self.on.clone());
        self.plan(trees::select(self.with, items, from, None)).await
    }

    /// Files with rows that match no source row and fall under a clause for those.
    pub async fn unmatched_files(&self, clauses: &Clauses) -> Result<LogicalPlan> {
        let acts = acting(&clauses.unmatched);
        let unmatched = SqlExpr::IsNull(Box::new(column(self.source, KEPT_ROW)));
        let from = trees::left_join(self.target_table(), self.source_table(), self.on.clone());
        self.plan(trees::select(
            self.with,
            vec![item(column(self.target, FILE), FILE)],
            from,
            Some(and(unmatched, acts)),
        ))
        .await
    }

    /// The target's rows, each with the source row that acts on it, if one does. `acting_only`: source rows that match
    /// but don't act are left away.
    pub async fn rewritten(&self, clauses: &Clauses, acting_only: bool) -> Result<Planned> {
        let on = if acting_only { and(self.on.clone(), acting(&clauses.matched)) } else { self.on.clone() };
        let from = trees::left_join(self.target_table(), self.source_table(), on);
        let matched = SqlExpr::IsNotNull(Box::new(column(self.source, KEPT_ROW)));
        let clause = case(vec![(matched, chosen(&clauses.matched, 0))], chosen(&clauses.unmatched, UNMATCHED));
        let numbered = clauses.matched.iter().enumerate();
        let numbered =
            numbered.chain(clauses.unmatched.iter().enumerate().map(|(index, clause)| (UNMATCHED + index, clause)));
        self.planned(clause, numbered.collect(), from).await
    }

    /// The source's rows that are inserted.
    pub async fn inserted(&self, clauses: &Clauses) -> Result<Planned> {
        let clause = chosen(&clauses.missing, 0);
        self.planned(clause, clauses.missing.iter().enumerate().collect(), trees::from(self.source_table())).await
    }

    /// Refuses what names columns of a row that isn't there: those of the source where nothing matches.
    pub async fn check(&self, clauses: &Clauses) -> Result<()> {
        if !clauses.unmatched.is_empty() {
            let numbered = clauses.unmatched.iter().enumerate().collect();
            let from = trees::from(self.target_table());
            self.planned(chosen(&clauses.unmatched, 0), numbered, from).await?;
        }
        Ok(())
    }

    async fn planned(&self, clause: SqlExpr, clauses: Vec<(usize, &Clause)>, from: TableWithJoins) -> Result<Planned> {
        let mut items = vec![item(clause, CLAUSE)];
        for (_, clause) in &clauses {
            for (_, value) in clause.action.values() {
                items.push(item(value.clone(), &format!("__alluvia_value_{}", items.len())));
            }
        }
        let plan = self.plan(trees::select(self.with, items, from, None)).await?;
        let LogicalPlan::Projection(projection) = plan else {
            return Err(Error::internal("a query of MERGE is no projection"));
        };
        match projection.input.as_ref() {
            LogicalPlan::Aggregate(_) => {
                return Err(Error::new(Kind::GroupingError, "aggregate functions are not allowed in MERGE"));
            }
            LogicalPlan::Window(_) => {
                return Err(Error::new(Kind::WindowingError, "window functions are not allowed in MERGE"));
            }
            _ => {}
        }
        let mut expressions = projection.expr.into_iter().map(Expr::unalias);
        projection.input.expressions().iter().try_for_each(refuse_changing)?;
        let lost = || Error::internal("a query of MERGE lost a column");
        let clause = expressions.next().ok_or_else(lost)?;
        refuse_changing(&clause)?;
        let mut values = vec![];
        for (number, of) in clauses {
            let mut assigned = vec![];
            for (column, _) in of.action.values() {
                assigned.push((column.clone(), expressions.next().ok_or_else(lost)?));
            }
            values.push((number, assigned));
        }
        Ok(Planned { input: Arc::unwrap_or_clone(projection.input), clause, values })
    }

    async fn plan(&self, ast: Statement) -> Result<LogicalPlan> {
        self.parameters.set(query::plan(self.session, self.state, &ast).await?)
    }

    fn target_table(&self) -> TableFactor {
        trees::table(given_name(TARGET), self.target)
    }

    fn source_table(&self) -> TableFactor {
        trees::table(given_name(SOURCE), self.source)
    }
}

/// Conditions are asked in both steps, and must say the same in both. Models do.
fn refuse_changing(condition: &Expr) -> Result<()> {
    let mut changing = None;
    condition.apply(|expression| {
        if let Expr::ScalarFunction(function) = expression
            && function.func.signature().volatility == Volatility::Volatile
            && ![ModelFunction::AiQuery, ModelFunction::Embed].iter().any(|model| model.name() == function.name())
        {
            changing = Some(function.name().to_string());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match changing {
        Some(function) => Err(Error::unsupported(format!("{function}() in a condition of MERGE"))
            .with_hint("Compute it in the source: USING (SELECT ..., random() AS r FROM ...) AS s.")),
        None => Ok(()),
    }
}

/// The number of the first clause that holds, counted from `first`; NULL when none does.
fn chosen(clauses: &[Clause], first: usize) -> SqlExpr {
    let branch = |(index, clause): (usize, &Clause)| (condition(clause), number(first + index));
    case(clauses.iter().enumerate().map(branch).collect(), trees::null())
}

/// Whether the first clause that holds changes anything.
fn acting(clauses: &[Clause]) -> SqlExpr {
    let branch = |clause: &Clause| (condition(clause), boolean(!matches!(clause.action, Action::Nothing)));
    case(clauses.iter().map(branch).collect(), boolean(false))
}

fn condition(clause: &Clause) -> SqlExpr {
    clause.condition.clone().unwrap_or_else(|| boolean(true))
}
