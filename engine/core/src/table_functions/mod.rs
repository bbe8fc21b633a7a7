//! Functions that stand for a table, planned from the parsed call: with arguments by name, parameters, and tables as
//! arguments, none of which the planner's own table functions know. Each call becomes a table that only its statement
//! sees.

mod arguments;
mod called;
mod changes;
mod read;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use alluvia_udfs::{FunctionDoc, table};
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    FunctionArg, Ident, ObjectName, ObjectNamePart, Statement as Ast, TableAlias, TableFactor, Visit, VisitMut,
    Visitor, VisitorMut,
};
use futures::future::BoxFuture;

use crate::error::{Error, Result};
use crate::session::Session;
use arguments::Arguments;

/// What opens the table that a call stands for.
type Open = for<'a> fn(&'a Call<'a>) -> BoxFuture<'a, Result<Arc<dyn TableProvider>>>;

/// One table function.
struct TableFunction {
    doc: &'static FunctionDoc,
    /// Whether arguments of other names are options of files.
    takes_options: bool,
    open: Open,
}

/// Every table function there is.
const TABLE_FUNCTIONS: &[TableFunction] = &[
    TableFunction { doc: &table::READ_ARROW, takes_options: true, open: read::arrow },
    TableFunction { doc: &table::READ_CSV, takes_options: true, open: read::csv },
    TableFunction { doc: &table::READ_DELTA, takes_options: false, open: read::delta },
    TableFunction { doc: &table::READ_JSON, takes_options: true, open: read::json },
    TableFunction { doc: &table::READ_PARQUET, takes_options: true, open: read::parquet },
    TableFunction { doc: &table::TABLE_CHANGES, takes_options: false, open: changes::table_changes },
    TableFunction { doc: &table::TABLE_DIFF, takes_options: false, open: changes::table_diff },
];

/// A call with its arguments' values.
struct Call<'a> {
    session: &'a Session,
    state: &'a SessionState,
    doc: &'static FunctionDoc,
    arguments: Arguments,
}

/// Whether a name in FROM with arguments is a function of ours.
pub(crate) fn is_table_function(name: &ObjectName) -> bool {
    find(name).is_some()
}

fn find(name: &ObjectName) -> Option<&'static TableFunction> {
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    let quoted = ident.quote_style.is_some();
    TABLE_FUNCTIONS.iter().find(|function| match quoted {
        true => function.doc.name == ident.value,
        false => function.doc.name.eq_ignore_ascii_case(&ident.value),
    })
}

/// Opens the tables that a statement's calls stand for, and puts them in the calls' places: into the statement, and
/// into the state that plans it. `parameters` are unknown while the statement is prepared.
pub(crate) async fn resolve(
    session: &Session,
    state: &mut SessionState,
    ast: &mut Ast,
    parameters: Option<&[ScalarValue]>,
) -> Result<()> {
    let calls = calls(ast)?;
    if calls.is_empty() {
        return Ok(());
    }
    let mut tables: BTreeMap<String, Arc<dyn TableProvider>> = BTreeMap::new();
    let mut names = vec![];
    for (number, (function, written)) in calls.into_iter().enumerate() {
        let arguments = Arguments::of(state, function.doc, function.takes_options, &written, parameters).await?;
        let call = Call { session, state, doc: function.doc, arguments };
        let name = called::name(function.doc.name, number);
        tables.insert(name.clone(), (function.open)(&call).await?);
        names.push((function.doc.name, name));
    }
    called::register(state, tables);
    match VisitMut::visit(ast, &mut Replacer { names: names.into_iter() }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Lets a statement's state find a table that no call stands for; gives its name.
pub(crate) fn register(state: &mut SessionState, table: Arc<dyn TableProvider>) -> String {
    let name = called::name("files", 0);
    called::register(state, BTreeMap::from([(name.clone(), table)]));
    name
}

/// For places that have no session to open tables with.
pub(crate) fn refuse(ast: &Ast, place: &str) -> Result<()> {
    match calls(ast)?.first() {
        Some((function, _)) => Err(Error::unsupported(format!("{} in {place}", function.doc.name))
            .with_hint("Make an external table of the files, or a table of the rows.")),
        None => Ok(()),
    }
}

/// Adds what the calls tell of the types of parameters.
pub(crate) async fn declare_parameters(
    state: &SessionState,
    ast: &Ast,
    declared: &mut Vec<Option<DataType>>,
) -> Result<()> {
    for (function, written) in calls(ast)? {
        arguments::declare_parameters(state, function.doc, function.takes_options, &written, declared).await?;
    }
    Ok(())
}

type WrittenCall = (&'static TableFunction, Vec<FunctionArg>);

fn calls(ast: &Ast) -> Result<Vec<WrittenCall>> {
    let mut finder = Finder { calls: vec![] };
    match Visit::visit(ast, &mut finder) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(finder.calls),
    }
}

struct Finder {
    calls: Vec<WrittenCall>,
}

impl Visitor for Finder {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        match factor {
            TableFactor::Table { name, args: Some(arguments), with_ordinality, .. } => {
                if let Some(function) = find(name) {
                    if *with_ordinality {
                        return ControlFlow::Break(Error::unsupported(format!("{name} WITH ORDINALITY")));
                    }
                    self.calls.push((function, arguments.args.clone()));
                }
            }
            TableFactor::Function { name, args, .. } => {
                if let Some(function) = find(name) {
                    self.calls.push((function, args.clone()));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Puts the opened tables' names in, in the same order.
struct Replacer<I> {
    names: I,
}

impl<I: Iterator<Item = (&'static str, String)>> VisitorMut for Replacer<I> {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let called = match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => find(name).is_some(),
            _ => false,
        };
        if !called {
            return ControlFlow::Continue(());
        }
        let Some((function, name)) = self.names.next() else {
            return ControlFlow::Break(Error::internal("a table function that was not opened"));
        };
        let given = match factor {
            TableFactor::Table { alias, .. } | TableFactor::Function { alias, .. } => alias.take(),
            _ => None,
        };
        let own = || TableAlias { explicit: true, name: Ident::new(function), columns: vec![], at: None };
        *factor = TableFactor::Table {
            name: ObjectName::from(vec![Ident::with_quote('"', name)]),
            alias: Some(given.unwrap_or_else(own)),
            args: None,
            with_hints: vec![],
            version: None,
            with_ordinality: false,
            partitions: vec![],
            json_path: None,
            sample: None,
            index_hints: vec![],
        };
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_function_is_documented() {
        let functions: Vec<&str> = TABLE_FUNCTIONS.iter().map(|function| function.doc.name).collect();
        let documented: Vec<&str> = table::DOCS.iter().map(|doc| doc.name).collect();
        assert_eq!(functions, documented);
    }
}
