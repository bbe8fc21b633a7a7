//! What doesn't fit is told, with the SQLSTATE that tells it; a row that fails is its own affair.

use super::super::calls;
use super::super::harness::root;
use super::super::sql::Sql;

#[tokio::test]
async fn requests_that_dont_fit_name_both_sides() {
    let sql = calls::sql().await;
    for (call, parts) in [
        (
            "ai_query('linear', named_struct('a', a))",
            &["42804", "The model takes: a FLOAT, b FLOAT; the request has: a.", "Missing: b."][..],
        ),
        ("ai_query('linear', named_struct('a', a, 'b', b, 'c', 1))", &["42804", "Not an input: c."]),
        ("ai_query('linear', a)", &["42804", "one value without a name", "named_struct("]),
        ("ai_query('affine', w)", &["42804", "input \"x\" of the model takes FLOAT"]),
        ("ai_query('shout', a)", &["42804", "input \"word\" of the model takes TEXT"]),
        ("ai_query('affine', [a])", &["42804", "input \"x\""]),
        ("ai_query('linaer', named_struct('a', a))", &["42704", "model \"linaer\" does not exist", "\"linear\""]),
        ("embed(w, 'linear')", &["22023", "model \"linear\" does not return an embedding"]),
        ("embed(w, 'nothing')", &["42704", "model \"nothing\" does not exist"]),
        ("embed(a)", &["42804", "embed"]),
        ("ai_query(w, a)", &["0A000", "must be a literal"]),
        ("ai_query('affine', a, failOnError => a > 1)", &["0A000", "must be a literal"]),
        ("ai_query('affine', a, returnType => 'FROB')", &["42601", "FROB"]),
        ("ai_query('affine', a, returnType => 'ARRAY<STRUCT<a: INT>>')", &["42804", "cannot be cast"]),
        ("ai_query('affine', a, temperature => 1)", &["42883", "failOnError"]),
        ("ai_query(NULL, a)", &["22004", "endpoint"]),
        ("ai_query('affine')", &["42883", "ai_query"]),
    ] {
        // Nothing runs: the table is read by no one.
        let error = sql.error(&format!("SELECT {call} FROM r")).await;
        assert!(error.starts_with(parts[0]), "{call}: {error}");
        for part in &parts[1..] {
            assert!(error.contains(part), "{call}: {error}");
        }
    }
    assert!(sql.asked().await.is_empty());
}

#[tokio::test]
async fn fields_are_matched_by_name() {
    let sql = calls::sql().await;
    for request in ["'a', 2, 'b', 1", "'b', 1, 'a', 2", "'B', 1, 'A', 2", "'a', 2.0, 'b', CAST(1 AS BIGINT)"] {
        sql.check(&format!("SELECT ai_query('linear', named_struct({request}))"), &["8.0"]).await;
    }
}

#[tokio::test]
async fn one_bad_row_spoils_no_other() {
    let sql = calls::sql().await;
    sql.check(
        "SELECT count(*), count((e).result), \
         count(*) FILTER (WHERE (e).result = (CASE WHEN i < 0 THEN i + 10 ELSE i END) * 1.5), \
         count(*) FILTER (WHERE (e).errormessage LIKE '%out of data bounds%' AND (e).errorClass = 'runtime'), \
         count(*) FILTER (WHERE e IS NULL) \
         FROM (SELECT i, ai_query('lookup', i, failOnError => false) AS e FROM r) AS x",
        &["40|27|27|11|2"],
    )
    .await;
    let error = sql.error("SELECT ai_query('lookup', i) FROM r").await;
    assert!(error.starts_with("ML004") && error.contains("model \"lookup\" failed"), "{error}");
    // The statement succeeds where no such row reaches the call.
    sql.check("SELECT count(ai_query('lookup', i)) FROM r WHERE i BETWEEN -10 AND 9", &["27"]).await;
}

#[tokio::test]
async fn null_in_null_out_and_no_error() {
    let sql = calls::sql().await;
    sql.check(
        "SELECT ai_query('affine', NULL), ai_query('shout', NULL), ai_query('lookup', NULL, failOnError => false), \
         embed(NULL), ai_query('linear', NULL), ai_query('affine', CAST(NULL AS INT), returnType => 'STRING')",
        &["NULL|NULL|NULL|NULL|NULL|NULL"],
    )
    .await;
    sql.check("SELECT count(*), count(ai_query('shout', w)) FROM r", &["40|35"]).await;
    // A failure and a NULL are told apart.
    sql.check(
        "SELECT e IS NULL, (e).result IS NULL, (e).errorMessage IS NULL, (e).attempts FROM (SELECT ai_query('parse', w, \
         failOnError => false) AS e FROM (VALUES (NULL), ('12'), ('twelve')) AS x (w)) AS y ORDER BY 1, 2",
        &["false|false|true|1", "false|true|false|1", "true|true|true|NULL"],
    )
    .await;
}

#[tokio::test]
async fn answers_are_cast_to_what_was_asked_for() {
    let sql = calls::sql().await;
    sql.check(
        "SELECT arrow_typeof(ai_query('affine', 4, returnType => 'DECIMAL(10, 2)')), \
         ai_query('affine', 4, returnType => 'decimal(10,2)'), ai_query('affine', 4, returnType => 'SMALLINT'), \
         ai_query('parts', named_struct('a', 1, 'b', 2), returnType => 'STRUCT<sum: INT, above: STRING, rank: DOUBLE>'), \
         (ai_query('affine', 4, returnType => 'INT', failOnError => false)).result",
        &["Decimal128(10, 2)|7.00|7|{sum: 3, above: false, rank: 1.0}|7"],
    )
    .await;
    let error = sql.error("SELECT ai_query('shout', w, returnType => 'INT') FROM r").await;
    assert!(error.starts_with("ML004") && error.contains("cannot be cast to"), "{error}");
    sql.check(
        "SELECT (e).result, (e).errorClass FROM (SELECT ai_query('affine', x, returnType => 'TINYINT', \
         failOnError => false) AS e FROM (VALUES (4), (400)) AS x (x)) AS y ORDER BY 1",
        &["7|NULL", "NULL|invalid_result"],
    )
    .await;
}

#[tokio::test]
async fn options_and_files_that_make_no_model() {
    let sql = Sql::new().await;
    let data = root().join("tests/data");
    for (source, options, parts) in [
        (
            "calls/linear.onnx",
            "device = 'cuda'",
            &["ML003", "device \"cuda:0\" is not available", "device = 'cpu'"][..],
        ),
        ("calls/linear.onnx", "device = 'cuda:9'", &["ML003", "cuda:9"]),
        ("calls/linear.onnx", "device = 'tpu'", &["22023", "'cuda:<index>'"]),
        ("calls/linear.onnx", "devise = 'cpu'", &["22023", "devise", "device, features, max_length"]),
        ("calls/linear.onnx", "batch_rows = 0", &["22023", "from 1 to 1048576"]),
        ("calls/linear.onnx", "outputs = 'z'", &["22023", "z"]),
        ("calls/linear.onnx", "features = 'a, b'", &["", "features"]),
        ("calls/linear.onnx", "pooling = 'mean'", &["", "pooling"]),
        ("models/wide.onnx", "features = 'a, b'", &["", "features"]),
        ("calls/nothing.onnx", "", &["58P01", "could not open model"]),
        ("calls/README.md", "", &["ML002", "README.md"]),
        ("models/tiny-mismatch", "", &["ML002", "tokenizer"]),
        ("models/scalar_output.onnx", "", &["0A000", "rows"]),
    ] {
        let with = if options.is_empty() { String::new() } else { format!(" WITH ({options})") };
        let error = sql.error(&format!("CREATE MODEL m FROM '{}/{source}'{with}", data.display())).await;
        assert!(error.starts_with(parts[0]) && !error.starts_with("XX000"), "{source} {options}: {error}");
        for part in &parts[1..] {
            assert!(error.contains(part), "{source} {options}: {error}");
        }
    }
    sql.check("SELECT count(*) FROM system.models", &["0"]).await;
    let left: Vec<_> = std::fs::read_dir(sql.data_dir().join("models")).map_or(vec![], |entries| entries.collect());
    assert!(left.is_empty(), "{left:?}");
}
