//! PostgreSQL's dialect with `USING <format>` in CREATE TABLE, and without one thing: arguments named by an expression
//! (`json_object(a || b : 1)`). Versions of tables are put in by `versions`.
//!
//! To find out whether an argument has such a name, the parser reads it twice, and each argument inside it four times, and
//! so on: twenty nested calls take it seconds, thirty take hours. Names that are words (`failOnError => false`) cost
//! nothing.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

#[derive(Debug)]
pub(super) struct LinearPostgreSql;

/// What is PostgreSQL's answer to a question about its grammar.
macro_rules! as_postgres {
    ($($question:ident)*) => {
        $(fn $question(&self) -> bool {
            PostgreSqlDialect {}.$question()
        })*
    };
}

impl Dialect for LinearPostgreSql {
    /// The parser takes it for PostgreSQL's wherever it asks by name.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    /// `CREATE TABLE t (...) USING delta`.
    fn supports_create_table_using(&self) -> bool {
        true
    }

    fn parse_statement(&self, parser: &mut Parser) -> Option<Result<Statement, ParserError>> {
        super::merging::parse(parser)
    }

    as_postgres! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_set_names
        supports_alter_column_type_using
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_comment_optimizer_hint
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        PostgreSqlDialect {}.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        // Backticks as in Spark's SQL, where they quote paths; PostgreSQL has no use for them.
        character == '`' || PostgreSqlDialect {}.is_delimited_identifier_start(character)
    }

    fn is_identifier_start(&self, character: char) -> bool {
        PostgreSqlDialect {}.is_identifier_start(character)
    }

    fn is_identifier_part(&self, character: char) -> bool {
        PostgreSqlDialect {}.is_identifier_part(character)
    }

    fn is_custom_operator_part(&self, character: char) -> bool {
        PostgreSqlDialect {}.is_custom_operator_part(character)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        PostgreSqlDialect {}.is_reserved_for_identifier(keyword)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        PostgreSqlDialect {}.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        PostgreSqlDialect {}.prec_value(precedence)
    }
}

#[cfg(test)]
mod tests {
    use crate::parser::parse;

    #[test]
    fn nested_calls_are_read_once() {
        let sql = format!("SELECT {}1{}", "abs(".repeat(30), ")".repeat(30));
        assert_eq!(parse(&sql).unwrap().len(), 1);
    }

    #[test]
    fn it_is_still_postgresql() {
        for sql in [
            "SELECT a::int, b ->> 'c', d ~ '^e', ARRAY[1, 2] @> ARRAY[1], E'\\n', \"F\" FROM t",
            "SELECT ai_query('m', x, failOnError => false), 1_000, U&'d\\0061t', count(*) FILTER (WHERE a) FROM t",
            "SELECT extract(epoch FROM a), interval '1 day', a NOTNULL FROM t",
            "CREATE TABLE t (a INT[], b TEXT)",
        ] {
            assert!(parse(sql).is_ok(), "{sql}: {:?}", parse(sql));
        }
    }
}
