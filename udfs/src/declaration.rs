//! What a function file declares about itself: names, arguments, prose, runnable examples.

use arrow::datatypes::DataType;
use datafusion_expr::{DocSection, Documentation, Signature};

/// The documentation of one function. One constant per function file; `docs/functions.md` is rendered from them.
#[derive(Debug)]
pub struct FunctionDoc {
    pub name: &'static str,
    /// Other names by which users of other systems know it.
    pub aliases: &'static [&'static str],
    pub family: Family,
    /// One or more ways to write a call.
    pub syntax: &'static [&'static str],
    /// What it computes, what NULL gives, and when it is an error. Markdown.
    pub description: &'static str,
    pub arguments: &'static [Argument],
    /// The SQL type of the result.
    pub returns: &'static str,
    pub examples: &'static [DocumentedExample],
    /// The system or paper whose semantics are followed.
    pub source: &'static str,
}

/// A heading of `docs/functions.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Vector,
    Model,
    PostgreSql,
    Table,
}

impl Family {
    pub const ALL: [Family; 4] = [Family::Model, Family::Vector, Family::Table, Family::PostgreSql];

    pub fn title(self) -> &'static str {
        match self {
            Family::Vector => "Vector functions",
            Family::Model => "Model functions",
            Family::PostgreSql => "PostgreSQL functions",
            Family::Table => "Table functions",
        }
    }

    pub fn introduction(self) -> &'static str {
        match self {
            Family::Vector => {
                "Arithmetic on `FLOAT[]`. Arrays of any other numeric type are accepted: the arithmetic is in single \
                 precision if either side holds `REAL` (or half precision) elements, else in double precision. A NULL \
                 vector gives NULL, a NULL element is an error (22004), and so are two vectors of different \
                 dimensions (22000)."
            }
            Family::Model => {
                "These run a model over the rows that reach them: each distinct call once per row, after cheaper \
                 predicates, wherever in the statement it is written. NULL in, NULL out. Argument names are found \
                 without regard to case."
            }
            Family::Table => {
                "These stand in FROM, in place of a table. Arguments are constants or parameters, by place or by name \
                 (`header => false`, or `header = false`); a table is named as in FROM, or by a text. Columns follow \
                 from the arguments, so that paths can't be parameters of a prepared statement."
            }
            Family::PostgreSql => "What PostgreSQL clients ask a server about itself.",
        }
    }
}

/// One argument of a function.
#[derive(Debug)]
pub struct Argument {
    pub name: &'static str,
    pub kind: ArgumentKind,
    /// May be left out (or be NULL, which then means the default).
    pub optional: bool,
    pub description: &'static str,
}

/// The type that an argument expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    Any,
    Boolean,
    Text,
    Vector,
    /// A text or several.
    Texts,
    /// The name of a table.
    Table,
    /// A table's version by its number or its time.
    Version,
    /// Any number of arguments with names of their own.
    Options,
}

impl Argument {
    /// The type for a parameter that arrives untyped; `None` where any type will do.
    pub fn data_type(&self) -> Option<DataType> {
        match self.kind {
            ArgumentKind::Any | ArgumentKind::Table | ArgumentKind::Version | ArgumentKind::Options => None,
            ArgumentKind::Boolean => Some(DataType::Boolean),
            ArgumentKind::Text | ArgumentKind::Texts => Some(DataType::Utf8),
            ArgumentKind::Vector => Some(DataType::new_list(DataType::Float32, true)),
        }
    }

    /// The SQL spelling of the type.
    pub fn sql_type(&self) -> &'static str {
        match self.kind {
            ArgumentKind::Any => "any",
            ArgumentKind::Boolean => "BOOLEAN",
            ArgumentKind::Text => "TEXT",
            ArgumentKind::Vector => "FLOAT[]",
            ArgumentKind::Texts => "TEXT or TEXT[]",
            ArgumentKind::Table => "table",
            ArgumentKind::Version => "BIGINT or TIMESTAMPTZ",
            ArgumentKind::Options => "options",
        }
    }
}

/// An example as a function file writes it.
#[derive(Debug)]
pub struct DocumentedExample {
    pub sql: &'static str,
    /// The one value that the statement returns, in PostgreSQL's text form; `None` where it depends on a model.
    pub expected: Option<&'static str>,
    pub needs: Needs,
}

/// What must be there for an example to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// The default embedding model.
    EmbeddingModel,
    /// Models and tables of the reader: the statement only parses here.
    OwnModel,
}

/// An example together with the function that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    pub function: &'static str,
    pub sql: &'static str,
    /// The one value that the statement returns, in PostgreSQL's text form; `None` where it depends on a model.
    pub expected: Option<&'static str>,
    pub needs: Needs,
}

/// What every function struct holds: the signature, and the documentation in DataFusion's own form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Declaration {
    pub(crate) signature: Signature,
    pub(crate) aliases: Vec<String>,
    pub(crate) documentation: Documentation,
}

impl Declaration {
    pub(crate) fn new(doc: &FunctionDoc, signature: Signature) -> Self {
        let section = DocSection { include: true, label: doc.family.title(), description: None };
        let syntax = doc.syntax.first().copied().unwrap_or(doc.name);
        let mut builder = Documentation::builder(section, doc.description, syntax);
        for argument in doc.arguments {
            builder = builder.with_argument(argument.name, argument.description);
        }
        for alternative in doc.syntax.iter().skip(1) {
            builder = builder.with_alternative_syntax(*alternative);
        }
        if let Some(example) = doc.examples.first() {
            builder = builder.with_sql_example(format!("```sql\n{}\n```", example.sql));
        }
        let aliases = doc.aliases.iter().map(|alias| alias.to_string()).collect();
        Self { signature, aliases, documentation: builder.build() }
    }
}
