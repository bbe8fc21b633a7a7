//! `MERGE`, and the forms of `INSERT` that take rows out as well: what the library's grammar has no words for.
//!
//! They become the library's own trees, so that what looks through statements looks through these too. Where a tree has
//! no place for a word (`UPDATE SET *`, `DO NOTHING`, `WITH SCHEMA EVOLUTION`), the functions here say how it is kept.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Insert, Merge, MergeAction, MergeClause, MergeClauseKind, MergeInsertExpr,
    MergeInsertKind, MergeUpdateExpr, OptimizerHint, OptimizerHintStyle, OutputClause, Parens, Statement, TableObject,
    Values,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{IsOptional, Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

type Parsed<T> = Result<T, ParserError>;

/// No comment can hold it, so that no hint in the text is taken for one of these words.
const OWN_HINT: &str = "\u{1}";
const SCHEMA_EVOLUTION: &str = "schema evolution";
const BY_NAME: &str = "by name";

/// The statement that begins here, if it is one of these.
pub(super) fn parse(parser: &mut Parser<'_>) -> Option<Parsed<Statement>> {
    match parser.peek_token_ref().token {
        Token::Word(ref word) if word.keyword == Keyword::MERGE => Some(parse_merge(parser)),
        Token::Word(ref word) if word.keyword == Keyword::INSERT => {
            parser.maybe_parse(parse_head).transpose().map(|insert| parse_replaced(parser, insert?))
        }
        _ => None,
    }
}

/// Whether columns that the target lacks are to be added to it.
pub(crate) fn evolves_schema(hints: &[OptimizerHint]) -> bool {
    has_word(hints, SCHEMA_EVOLUTION)
}

/// Whether the query's columns are those of the same names.
pub(crate) fn is_by_name(insert: &Insert) -> bool {
    has_word(&insert.optimizer_hints, BY_NAME)
}

/// The condition of `REPLACE WHERE`: it lies where the partitions of an overwrite are.
pub(crate) fn replace_condition(insert: &Insert) -> Option<&Expr> {
    if insert.replace_into { insert.partitioned.as_deref()?.first() } else { None }
}

/// `DO NOTHING` is an update of no columns.
pub(crate) fn does_nothing(update: &MergeUpdateExpr) -> bool {
    update.assignments.is_empty()
}

/// `UPDATE SET *` assigns to no target.
pub(crate) fn updates_all(update: &MergeUpdateExpr) -> bool {
    matches!(update.assignments.as_slice(), [Assignment { target: AssignmentTarget::Tuple(targets), .. }]
        if targets.is_empty())
}

/// DEFAULT where a value may stand.
pub(crate) fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(ident)
        if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

fn has_word(hints: &[OptimizerHint], word: &str) -> bool {
    hints.iter().any(|hint| hint.prefix == OWN_HINT && hint.text == word)
}

fn own_hint(word: &str) -> OptimizerHint {
    let style = OptimizerHintStyle::MultiLine;
    OptimizerHint { prefix: OWN_HINT.to_string(), text: word.to_string(), style }
}

fn parse_merge(parser: &mut Parser<'_>) -> Parsed<Statement> {
    let merge_token = parser.next_token().into();
    let optimizer_hints = parse_evolution(parser)?.into_iter().collect();
    parser.expect_keyword_is(Keyword::INTO)?;
    let table = parser.parse_table_factor()?;
    parser.expect_keyword_is(Keyword::USING)?;
    let source = parser.parse_table_factor()?;
    parser.expect_keyword_is(Keyword::ON)?;
    let on = Box::new(parser.parse_expr()?);
    let mut clauses = vec![];
    while parser.parse_keyword(Keyword::WHEN) {
        clauses.push(parse_clause(parser)?);
    }
    if clauses.is_empty() {
        return parser.expected_ref("WHEN", parser.peek_token_ref());
    }
    let mut output = None;
    if parser.parse_keyword(Keyword::RETURNING) {
        let returning_token = AttachedToken(parser.get_current_token().clone());
        output = Some(OutputClause::Returning { returning_token, select_items: parser.parse_projection()? });
    }
    Ok(Statement::Merge(Merge { merge_token, optimizer_hints, into: true, table, source, on, clauses, output }))
}

fn parse_evolution(parser: &mut Parser<'_>) -> Parsed<Option<OptimizerHint>> {
    if !parser.parse_keyword(Keyword::WITH) {
        return Ok(None);
    }
    for word in ["SCHEMA", "EVOLUTION"] {
        if !parse_word(parser, word) {
            return parser.expected_ref("SCHEMA EVOLUTION", parser.peek_token_ref());
        }
    }
    Ok(Some(own_hint(SCHEMA_EVOLUTION)))
}

fn parse_clause(parser: &mut Parser<'_>) -> Parsed<MergeClause> {
    let when_token = AttachedToken(parser.get_current_token().clone());
    let negated = parser.parse_keyword(Keyword::NOT);
    parser.expect_keyword_is(Keyword::MATCHED)?;
    let clause_kind = match negated {
        false => MergeClauseKind::Matched,
        true if parser.parse_keywords(&[Keyword::BY, Keyword::SOURCE]) => MergeClauseKind::NotMatchedBySource,
        true if parser.parse_keywords(&[Keyword::BY, Keyword::TARGET]) => MergeClauseKind::NotMatchedByTarget,
        true => MergeClauseKind::NotMatched,
    };
    let predicate = if parser.parse_keyword(Keyword::AND) { Some(parser.parse_expr()?) } else { None };
    parser.expect_keyword_is(Keyword::THEN)?;
    let inserts = matches!(clause_kind, MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget);
    let action = if parser.parse_keywords(&[Keyword::DO, Keyword::NOTHING]) {
        update(parser, vec![])
    } else if inserts && parser.parse_keyword(Keyword::INSERT) {
        MergeAction::Insert(parse_inserted(parser)?)
    } else if !inserts && parser.parse_keyword(Keyword::DELETE) {
        MergeAction::Delete { delete_token: AttachedToken(parser.get_current_token().clone()) }
    } else if !inserts && parser.parse_keyword(Keyword::UPDATE) {
        parser.expect_keyword_is(Keyword::SET)?;
        let assignments = match clause_kind {
            MergeClauseKind::Matched if parser.consume_token(&Token::Mul) => vec![everything(parser)],
            _ => parser.parse_comma_separated(Parser::parse_assignment)?,
        };
        update(parser, assignments)
    } else {
        let expected = if inserts { "INSERT or DO NOTHING" } else { "UPDATE, DELETE or DO NOTHING" };
        return parser.expected_ref(expected, parser.peek_token_ref());
    };
    Ok(MergeClause { when_token, clause_kind, predicate, action })
}

fn everything(parser: &Parser<'_>) -> Assignment {
    let star = AttachedToken(parser.get_current_token().clone());
    Assignment { target: AssignmentTarget::Tuple(vec![]), value: Expr::Wildcard(star) }
}

fn update(parser: &Parser<'_>, assignments: Vec<Assignment>) -> MergeAction {
    let update_token = AttachedToken(parser.get_current_token().clone());
    MergeAction::Update(MergeUpdateExpr { update_token, assignments, update_predicate: None, delete_predicate: None })
}

/// Behind `INSERT`: `*`, the source's row as it is; `DEFAULT VALUES`, which is a row of no values, or `[(columns)] VALUES (...)`.
fn parse_inserted(parser: &mut Parser<'_>) -> Parsed<MergeInsertExpr> {
    let insert_token = AttachedToken(parser.get_current_token().clone());
    let inserted = |columns, kind| MergeInsertExpr {
        insert_token: insert_token.clone(),
        columns,
        kind_token: insert_token.clone(),
        kind,
        insert_predicate: None,
    };
    if parser.consume_token(&Token::Mul) {
        return Ok(inserted(vec![], MergeInsertKind::Row));
    }
    let none = || Values { explicit_row: false, value_keyword: false, rows: vec![Parens::with_empty_span(vec![])] };
    if parser.parse_keywords(&[Keyword::DEFAULT, Keyword::VALUES]) {
        return Ok(inserted(vec![], MergeInsertKind::Values(none())));
    }
    let columns = parser.parse_parenthesized_qualified_column_list(IsOptional::Optional, false)?;
    parser.expect_keyword_is(Keyword::VALUES)?;
    let values = parser.parse_values(false, false)?;
    if values.rows.len() != 1 {
        return Err(ParserError::ParserError("MERGE inserts one row of VALUES".to_string()));
    }
    Ok(inserted(columns, MergeInsertKind::Values(values)))
}

/// An INSERT up to its condition or query. Succeeds for the forms that the library doesn't read, or reads otherwise.
fn parse_head(parser: &mut Parser<'_>) -> Parsed<Insert> {
    let mut insert = bare(AttachedToken(parser.next_token()), TableObject::TableName(vec![].into()));
    insert.optimizer_hints.extend(parse_evolution(parser)?);
    insert.overwrite = parser.parse_keyword(Keyword::OVERWRITE);
    insert.into = parser.parse_keyword(Keyword::INTO);
    insert.has_table_keyword = parser.parse_keyword(Keyword::TABLE);
    insert.table = TableObject::TableName(parser.parse_object_name(false)?);
    if insert.overwrite && parser.parse_keyword(Keyword::PARTITION) {
        parser.expect_token(&Token::LParen)?;
        insert.partitioned = Some(parser.parse_comma_separated(Parser::parse_expr)?);
        parser.expect_token(&Token::RParen)?;
    }
    if !starts_query(parser) {
        insert.columns = parser.parse_parenthesized_qualified_column_list(IsOptional::Optional, false)?;
    }
    if parser.parse_keyword(Keyword::BY) {
        if !parse_word(parser, "NAME") {
            return parser.expected_ref("NAME", parser.peek_token_ref());
        }
        insert.optimizer_hints.push(own_hint(BY_NAME));
    }
    if !insert.overwrite && parser.parse_keywords(&[Keyword::REPLACE, Keyword::WHERE]) {
        insert.replace_into = true;
    }
    if insert.optimizer_hints.is_empty() && !insert.overwrite && !insert.replace_into {
        return parser.expected_ref("a form of this engine's", parser.peek_token_ref());
    }
    Ok(insert)
}

fn parse_replaced(parser: &mut Parser<'_>, mut insert: Insert) -> Parsed<Statement> {
    if insert.replace_into {
        insert.partitioned = Some(vec![parser.parse_expr()?]);
    }
    insert.source = Some(parser.parse_query()?);
    if parser.parse_keyword(Keyword::RETURNING) {
        insert.returning = Some(parser.parse_projection()?);
    }
    Ok(Statement::Insert(insert))
}

/// `(SELECT ...` and the like, which is no list of columns.
fn starts_query(parser: &Parser<'_>) -> bool {
    let starts = |token: &Token| {
        matches!(token, Token::LParen)
            || matches!(token, Token::Word(word)
                if matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE))
    };
    parser.peek_token_ref().token == Token::LParen && starts(&parser.peek_nth_token_ref(1).token)
}

fn parse_word(parser: &mut Parser<'_>, word: &str) -> bool {
    let found = matches!(&parser.peek_token_ref().token, Token::Word(found)
        if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word));
    if found {
        parser.advance_token();
    }
    found
}

fn bare(insert_token: AttachedToken, table: TableObject) -> Insert {
    Insert {
        insert_token,
        optimizer_hints: vec![],
        or: None,
        ignore: false,
        into: true,
        table,
        table_alias: None,
        columns: vec![],
        overwrite: false,
        source: None,
        assignments: vec![],
        partitioned: None,
        after_columns: vec![],
        has_table_keyword: false,
        on: None,
        returning: None,
        output: None,
        replace_into: false,
        priority: None,
        insert_alias: None,
        settings: None,
        format_clause: None,
        multi_table_insert_type: None,
        multi_table_into_clauses: vec![],
        multi_table_when_clauses: vec![],
        multi_table_else_clause: None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::{MergeAction, Statement};

    use super::*;
    use crate::parser::{StatementKind, parse};

    fn parsed(sql: &str) -> Statement {
        match &parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))[0].kind {
            StatementKind::Sql(statement) => statement.as_ref().clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn merge_has_all_clauses() {
        let sql = "MERGE WITH SCHEMA EVOLUTION INTO a.t AS t USING (SELECT 1 AS id) s ON t.id = s.id
            WHEN MATCHED AND s.id = 1 THEN DO NOTHING WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *
            WHEN NOT MATCHED BY TARGET AND TRUE THEN INSERT (id) VALUES (s.id)
            WHEN NOT MATCHED BY SOURCE THEN DELETE";
        let Statement::Merge(merge) = parsed(sql) else { panic!() };
        assert!(evolves_schema(&merge.optimizer_hints));
        let shown = |clause: &MergeClause| match &clause.action {
            MergeAction::Update(update) if does_nothing(update) => "nothing",
            MergeAction::Update(update) if updates_all(update) => "update all",
            MergeAction::Update(_) => "update",
            MergeAction::Insert(insert) if matches!(insert.kind, MergeInsertKind::Row) => "insert all",
            MergeAction::Insert(_) => "insert",
            MergeAction::Delete { .. } => "delete",
        };
        let actions: Vec<_> = merge.clauses.iter().map(shown).collect();
        assert_eq!(actions, ["nothing", "update all", "insert all", "insert", "delete"]);
    }

    #[test]
    fn clauses_allow_only_their_own_actions() {
        for clause in [
            "WHEN NOT MATCHED THEN DELETE",
            "WHEN MATCHED THEN INSERT *",
            "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET *",
            "WHEN NOT MATCHED THEN INSERT VALUES (1), (2)",
            "",
        ] {
            assert!(parse(&format!("MERGE INTO t USING s ON TRUE {clause}")).is_err(), "{clause}");
        }
    }

    #[test]
    fn inserts_that_replace() {
        for (sql, overwrite, condition, by_name, evolves) in [
            ("INSERT OVERWRITE t SELECT 1", true, false, false, false),
            ("INSERT OVERWRITE INTO TABLE t PARTITION (a = 1, b) (x, y) SELECT 1, 2", true, false, false, false),
            ("INSERT INTO t REPLACE WHERE a = 1 AND b SELECT 1", false, true, false, false),
            ("INSERT INTO TABLE t BY NAME REPLACE WHERE a BETWEEN 1 AND 2 VALUES (1)", false, true, true, false),
            ("INSERT WITH SCHEMA EVOLUTION INTO t BY NAME (SELECT 1)", false, false, true, true),
            ("INSERT INTO t (a) REPLACE WHERE (a > 1) (SELECT 1)", false, true, false, false),
        ] {
            let Statement::Insert(insert) = parsed(sql) else { panic!() };
            let found = (insert.overwrite, replace_condition(&insert).is_some());
            assert_eq!(found, (overwrite, condition), "{sql}");
            let found = (is_by_name(&insert), evolves_schema(&insert.optimizer_hints));
            assert_eq!(found, (by_name, evolves), "{sql}");
        }
        let Statement::Insert(insert) = parsed("INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING") else { panic!() };
        assert!(insert.on.is_some() && insert.optimizer_hints.is_empty());
    }
}
