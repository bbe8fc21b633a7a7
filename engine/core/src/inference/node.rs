//! The logical node: its input's columns, and one more for each call. Requests and guards are columns of the input,
//! so that no rule of DataFusion's finds a model call to move, copy or fold.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result, TableReference};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::error::Error;

/// One call of a model for every row that its guard lets through.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(super) struct Call {
    pub model: String,
    pub sha256: String,
    /// As asked for: `auto` stays `auto`.
    pub device: String,
    pub request: Column,
    /// A column of booleans without NULL; none means every row.
    pub guard: Option<Column>,
    /// What the model's answer is cast to.
    pub return_type: Option<DataType>,
    pub fail_on_error: bool,
    pub output: FieldRef,
    /// The request as the statement has it.
    pub shown: String,
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sha = self.sha256.get(..8).unwrap_or(&self.sha256);
        write!(formatter, "{} = {}@{sha}({}) on {}", self.output.name(), self.model, self.shown, self.device)?;
        if let Some(guard) = &self.guard {
            write!(formatter, " where {}", guard.name)?;
        }
        if let Some(data_type) = &self.return_type {
            write!(formatter, " as {data_type}")?;
        }
        if !self.fail_on_error {
            write!(formatter, " errors as values")?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub(super) struct Inference {
    pub input: Arc<LogicalPlan>,
    pub calls: Vec<Call>,
    schema: DFSchemaRef,
}

impl Inference {
    pub fn plan(input: LogicalPlan, calls: Vec<Call>) -> Result<LogicalPlan> {
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(Self::try_new(Arc::new(input), calls)?) }))
    }

    fn try_new(input: Arc<LogicalPlan>, calls: Vec<Call>) -> Result<Self> {
        let below = input.schema();
        let own = |field: &FieldRef| (None::<TableReference>, Arc::clone(field));
        let fields = below
            .iter()
            .map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)))
            .chain(calls.iter().map(|call| own(&call.output)))
            .collect();
        let schema = DFSchema::new_with_metadata(fields, below.metadata().clone())?;
        let schema = schema.with_functional_dependencies(below.functional_dependencies().clone())?;
        Ok(Self { input, calls, schema: Arc::new(schema) })
    }
}

impl UserDefinedLogicalNodeCore for Inference {
    fn name(&self) -> &str {
        "Inference"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let columns = self.calls.iter().flat_map(|call| std::iter::once(&call.request).chain(&call.guard));
        columns.cloned().map(Expr::Column).collect()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.calls.iter().map(|call| call.output.name().clone()).collect()
    }

    fn fmt_for_explain(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: Vec<String> = self.calls.iter().map(Call::to_string).collect();
        write!(formatter, "Inference: {}", calls.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
            return Err(Error::internal("an inference node has one input").into());
        };
        let mut columns = exprs.into_iter();
        let mut column = || match columns.next() {
            Some(Expr::Column(column)) => Ok(column),
            other => Err(Error::internal(format!("an inference node reads columns, not {other:?}"))),
        };
        let mut calls = self.calls.clone();
        for call in &mut calls {
            call.request = column()?;
            if let Some(guard) = &mut call.guard {
                *guard = column()?;
            }
        }
        Self::try_new(Arc::new(input), calls)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let below = self.input.schema();
        let mut needed: Vec<usize> =
            output_columns.iter().copied().filter(|&index| index < below.fields().len()).collect();
        for column in self.calls.iter().flat_map(|call| std::iter::once(&call.request).chain(&call.guard)) {
            needed.push(below.maybe_index_of_column(column)?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}

// The schema follows from the rest.
impl PartialEq for Inference {
    fn eq(&self, other: &Self) -> bool {
        self.calls == other.calls && self.input == other.input
    }
}

impl Eq for Inference {}

impl Hash for Inference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.calls.hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for Inference {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let order = self.calls.partial_cmp(&other.calls)?.then(self.input.partial_cmp(&other.input)?);
        Some(order).filter(|order| *order != Ordering::Equal || self == other)
    }
}
