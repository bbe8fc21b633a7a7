//! Statements with model calls against the same statements with arithmetic.
//!
//! `@linear(x; y)` in a statement stands for a call of the model `linear`, or for what that model computes written in
//! SQL, in single precision like the model. So the two forms must give the same rows, bit for bit.

use std::collections::BTreeSet;

use super::sql::Sql;

/// Model and file of each call below; `tests/data/calls/make_models.py` says what they compute.
const MODELS: &[(&str, &str)] = &[
    ("linear", "linear"),
    ("affine", "affine"),
    ("positive", "positive"),
    ("parts", "parts"),
    ("shout", "shout"),
    ("lookup", "table"),
    ("parse", "parse"),
];

/// `r` has 40 rows of small numbers, with NULLs and duplicates, in several files; `s` has 13.
pub const ROWS_OF_R: u64 = 40;

/// Name, number of arguments, the call, and the same in SQL. `$1` and `$2` are arguments; `R(..)` is a cast to REAL.
type Form = (&'static str, usize, &'static str, &'static str);

/// `returnType` casts as Arrow does. A NULL field of a STRUCT is NaN for a model, and no comparison with NaN is true for it; a NULL request is a NULL
/// answer.
const FORMS: &[Form] = &[
    ("linear", 2, "ai_query('linear', named_struct('a', $1, 'b', $2))", "R(R(2) * N($1) + R(3) * N($2) + R(1))"),
    ("affine", 1, "ai_query('affine', $1)", "R(R(3) * R($1) - R(5))"),
    ("text", 1, "ai_query('affine', $1, returnType => 'STRING')", "arrow_cast(R(R(3) * R($1) - R(5)), 'Utf8')"),
    ("double", 1, "ai_query('affine', $1, returnType => 'DOUBLE')", "CAST(R(R(3) * R($1) - R(5)) AS DOUBLE)"),
    (
        "whole",
        1,
        "(ai_query('affine', $1, returnType => 'BIGINT', failOnError => false)).result",
        "TRY_CAST(R(R(3) * R($1) - R(5)) AS BIGINT)",
    ),
    ("positive", 1, "ai_query('positive', $1)", "(nanvl(R($1), R(0)) > R(0))"),
    ("sum", 2, "(ai_query('parts', named_struct('a', $1, 'b', $2))).sum", "R(N($1) + N($2))"),
    (
        "above",
        2,
        "(ai_query('parts', named_struct('b', $2, 'a', $1))).above",
        "(nanvl(N($1), R('-Infinity')) > nanvl(N($2), R('Infinity')))",
    ),
    ("shout", 1, "ai_query('shout', $1)", "($1 || '!')"),
    ("parsed", 1, "(ai_query('parse', $1, failOnError => false)).result", "TRY_CAST($1 AS REAL)"),
    // Fails unless the index is -10 to 9.
    ("lookup", 1, "ai_query('lookup', $1)", "T($1)"),
    ("found", 1, "(ai_query('lookup', $1, failOnError => false)).response", "T($1)"),
    (
        "failed",
        1,
        "((ai_query('lookup', $1, failOnError => false)).errorMessage IS NOT NULL)",
        "coalesce($1 NOT BETWEEN -10 AND 9, false)",
    ),
];

/// An engine with the models and the tables.
pub async fn sql() -> Sql {
    let sql = Sql::new().await;
    for (name, file) in MODELS {
        sql.create_model(name, &format!("tests/data/calls/{file}.onnx")).await;
    }
    sql.batches("CREATE TABLE r (id INT, a INT, b INT, k INT, i BIGINT, w TEXT)").await;
    for from in [1, 11, 31] {
        let to = if from == 11 { 30 } else { from + 9 };
        sql.batches(&format!(
            "INSERT INTO r SELECT value, nullif(value * 7 % 11 - 5, 3), nullif(value * 5 % 13 % 10, 4), value * 3 % 4, \
             nullif(value * 11 % 29 - 14, 8), CASE value % 7 WHEN 0 THEN NULL WHEN 1 THEN '12' WHEN 2 THEN '-3.5' \
             WHEN 3 THEN 'x' ELSE 'word ' || CAST(value % 3 AS TEXT) END FROM generate_series({from}, {to}) AS n (value)"
        ))
        .await;
    }
    sql.batches(
        "CREATE TABLE s AS SELECT CAST(value AS INT) AS id, CAST(nullif(value % 6, 5) AS INT) AS a, \
         CAST(value % 4 AS INT) AS k, CAST(value / 2.0 AS DOUBLE) AS x, CASE value % 3 WHEN 0 THEN 'x' WHEN 1 THEN '7' END AS w \
         FROM generate_series(1, 13) AS n (value)",
    )
    .await;
    sql
}

/// The statement with calls.
pub fn called(statement: &str) -> String {
    expand(statement, &|(_, _, call, _)| call.to_string())
}

/// The statement with arithmetic.
pub fn computed(statement: &str) -> String {
    expand(statement, &|(_, _, _, arithmetic)| arithmetic.to_string())
}

/// How many different calls are written in the statement.
pub fn distinct_calls(statement: &str) -> u64 {
    let statement = called(statement);
    let calls: BTreeSet<&str> =
        statement.match_indices("ai_query(").map(|(at, _)| &statement[at..at + closing(&statement[at..])]).collect();
    calls.len() as u64
}

fn expand(statement: &str, form: &dyn Fn(&Form) -> String) -> String {
    let Some(at) = statement.find('@') else { return abbreviations(statement) };
    let rest = &statement[at + 1..];
    let end = closing(rest);
    let (name, arguments) = rest[..end - 1].split_once('(').unwrap();
    let found = FORMS.iter().find(|form| form.0 == name).unwrap_or_else(|| panic!("no call @{name}"));
    let arguments: Vec<String> = split(arguments).iter().map(|argument| expand(argument, form)).collect();
    assert_eq!(arguments.len(), found.1, "{statement}");
    let mut text = form(found);
    for (place, argument) in arguments.iter().enumerate() {
        text = text.replace(&format!("${}", place + 1), argument);
    }
    format!("{}{}{}", abbreviations(&statement[..at]), abbreviations(&text), expand(&rest[end..], form))
}

/// `R(x)`, `N(x)`, `T(x)`: a number in single precision; the same with NaN for NULL; the table's value at an index.
fn abbreviations(text: &str) -> String {
    let found = text.char_indices().zip(text.chars().skip(1)).find(|((at, letter), following)| {
        let before = text[..*at].chars().next_back();
        matches!(letter, 'R' | 'N' | 'T')
            && *following == '('
            && !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    });
    let Some(((at, letter), _)) = found else { return text.to_owned() };
    let end = at + closing(&text[at..]);
    let inner = abbreviations(&text[at + 2..end - 1]);
    let long = match letter {
        'R' => format!("CAST({inner} AS REAL)"),
        'N' => format!("coalesce(CAST({inner} AS REAL), CAST('NaN' AS REAL))"),
        _ => {
            let values: Vec<String> =
                (0..20).map(|place| format!("CAST({} AS REAL)", f64::from(place % 10) * 1.5)).collect();
            format!("array_element([{}], greatest(CAST({inner} AS BIGINT) + 11, 0))", values.join(", "))
        }
    };
    format!("{}{long}{}", &text[..at], abbreviations(&text[end..]))
}

/// The place behind the parenthesis that closes the first one.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 1 => return at + 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    panic!("unbalanced: {text}")
}

fn split(arguments: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (vec![], 0, 0);
    for (at, letter) in arguments.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ';' if depth == 0 => {
                parts.push(arguments[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(arguments[start..].trim());
    parts
}

#[test]
fn forms_expand() {
    assert_eq!(
        called("SELECT @affine(@linear(a; b + (1))) FROM r"),
        "SELECT ai_query('affine', ai_query('linear', named_struct('a', a, 'b', b + (1)))) FROM r"
    );
    assert_eq!(
        computed("SELECT @affine(a), R(1), COUNT(a)"),
        "SELECT CAST(CAST(3 AS REAL) * CAST(a AS REAL) - CAST(5 AS REAL) AS REAL), CAST(1 AS REAL), COUNT(a)"
    );
    assert_eq!(distinct_calls("@affine(a) + @affine(a) + @affine(@positive(b))"), 3);
}
