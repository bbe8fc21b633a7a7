//! Every type that a graph takes or gives.

use super::super::sql::Sql;

async fn with_model(path: &str) -> Sql {
    let sql = Sql::new().await;
    sql.create_model("m", &format!("tests/data/{path}.onnx")).await;
    sql
}

#[tokio::test]
async fn every_element_type_goes_in_and_out() {
    let sql = with_model("models/echo").await;
    let request = |values: &str| {
        let names = ["f16", "f32", "f64", "i8", "i32", "i64", "u8", "flag", "word"];
        let fields: Vec<String> = names.iter().zip(values.split(", ")).map(|(n, v)| format!("'{n}', {v}")).collect();
        format!("ai_query('m', named_struct({}))", fields.join(", "))
    };
    let answer = |e: &str| {
        let names = ["f16", "f32", "f64", "i8", "i32", "i64", "u8", "flag", "word"];
        names.map(|name| format!("({e}).{name}_out")).join(", ")
    };
    let asked = request("1.5, 0.1, 0.1, -128, 2147483647, 9223372036854775807, 255, true, 'wörd'");
    sql.check(
        &format!("SELECT {} FROM (SELECT {asked} AS e)", answer("e")),
        &["1.5|0.1|0.1|-128|2147483647|9223372036854775807|255|true|wörd"],
    )
    .await;
    sql.check(
        &format!("SELECT arrow_typeof({asked})"),
        &["Struct(\"f16_out\": Float16, \"f32_out\": Float32, \"f64_out\": Float64, \"i8_out\": Int8, \
           \"i32_out\": Int32, \"i64_out\": Int64, \"u8_out\": UInt8, \"flag_out\": Boolean, \"word_out\": Utf8)"],
    )
    .await;
    // Safe casts: whole numbers to floats, floats to whole numbers where they are whole.
    let asked = request("2, 3, 4, 5.0, 6.0, 7.0, 8.0, false, ''");
    sql.check(&format!("SELECT {} FROM (SELECT {asked} AS e)", answer("e")), &["2|3.0|4.0|5|6|7|8|false|"]).await;
    for (values, message) in [
        ("1, 1, 1, 128, 1, 1, 1, true, ''", "value 128 for input \"i8\" is out of range for TINYINT"),
        ("1, 1, 1, 1, 1.5, 1, 1, true, ''", "value 1.5 for input \"i32\" is not a whole number"),
        ("1, 1, 1, 1, 1, 1, -1, true, ''", "value -1 for input \"u8\" is out of range"),
        ("1, 1, 1, 1, 1, NULL, 1, true, ''", "input \"i64\" is null"),
        ("1, 1, 1, 1, 1, 1, 1, NULL, ''", "input \"flag\" is null"),
        ("1, 1, 1, 1, 1, 1, 1, true, NULL", "input \"word\" is null"),
    ] {
        let error = sql.error(&format!("SELECT {}", request(values))).await;
        assert!(error.contains(message), "{values}: {error}");
    }
    // A float's NULL is NaN, which is what models are trained with.
    let asked = request("NULL, NULL, NULL, 1, 1, 1, 1, true, ''");
    sql.check(&format!("SELECT {} FROM (SELECT {asked} AS e)", answer("e")), &["NaN|NaN|NaN|1|1|1|1|true|"]).await;
}

#[tokio::test]
async fn maps_of_scikit_learn_have_their_keys_types() {
    let sql = with_model("models/zipmap_number").await;
    let row = "SELECT ai_query('m', [1.0, -0.5, 0.25, 2.0, 0.0, 1.0]) AS answer";
    sql.check(
        &format!(
            "SELECT arrow_typeof(answer), map_keys((answer).output_probability), \
             round((answer).output_probability[0] + (answer).output_probability[1] + (answer).output_probability[2], 5) FROM ({row})"
        ),
        &["Struct(\"output_label\": Int64, \"output_probability\": Map(\"entries\": non-null Struct(\"keys\": non-null \
           Int64, \"values\": Float32), unsorted))|[0, 1, 2]|1.0"],
    )
    .await;
}

#[tokio::test]
async fn one_wide_input_takes_a_list_or_named_columns() {
    let sql = with_model("models/wide").await;
    for request in [
        "[1, 2, 3, 4]",
        "[[1, 2], [3, 4]]",
        "named_struct('d', 4, 'c', 3, 'b', 2, 'a', 1)",
        "named_struct('x', [1, 2, 3, 4])",
    ] {
        if request.starts_with("[[") {
            let error = sql.error(&format!("SELECT ai_query('m', {request})")).await;
            assert!(error.starts_with("42804 "), "{error}");
            continue;
        }
        sql.check(
            &format!("SELECT (ai_query('m', {request})).doubled, (ai_query('m', {request})).matrix"),
            &["[2.0, 4.0, 6.0, 8.0]|[[1.0, 2.0], [3.0, 4.0]]"],
        )
        .await;
    }
    sql.check(
        "SELECT (ai_query('m', named_struct('a', value, 'b', 0, 'c', 0, 'd', NULL))).doubled FROM generate_series(1, 2) AS n (value) \
         ORDER BY value",
        &["[2.0, 0.0, 0.0, NaN]", "[4.0, 0.0, 0.0, NaN]"],
    )
    .await;
    let open = with_model("models/open_width").await;
    open.check(
        "SELECT ai_query('m', make_array(column1, column2)), ai_query('m', [column1]) FROM (VALUES (1, 2), (3, 4)) \
         ORDER BY 1",
        &["3.0|1.0", "7.0|3.0"],
    )
    .await;
}

#[tokio::test]
async fn a_fixed_batch_serves_any_number_of_rows() {
    let sql = with_model("models/fixed_batch").await;
    for rows in 1..=9 {
        let expected: Vec<String> = (1..=rows).map(|row| format!("-{row}.0")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        sql.check(
            &format!("SELECT ai_query('m', value) FROM generate_series(1, {rows}) AS n (value) ORDER BY value"),
            &expected,
        )
        .await;
    }
}

#[tokio::test]
async fn half_precision_lists_and_weights_beside_the_graph() {
    let sql = with_model("calls/halves").await;
    sql.check("SELECT ai_query('m', 3), arrow_typeof(ai_query('m', 3))", &["1.5|Float16"]).await;
    assert!(sql.error("SELECT ai_query('m', 1e10)").await.contains("out of range for FLOAT16"));
    let sql = with_model("calls/list").await;
    sql.check("SELECT ai_query('m', [1, NULL, 0.5])", &["[2.0, NaN, 1.0]"]).await;
    assert!(sql.error("SELECT ai_query('m', [1, 2])").await.contains("input \"x\" takes 3 values, not 2"));
    sql.check("SELECT (ai_query('m', [1, 2], failOnError => false)).errorclass", &["invalid_request"]).await;
    let sql = with_model("models/external/model").await;
    sql.check("SELECT ai_query('m', 1)", &["1.5"]).await;
}

#[tokio::test]
async fn outputs_are_chosen_and_ordered_by_an_option() {
    let sql = Sql::new().await;
    let path = super::root().join("tests/data/calls/parts.onnx");
    for (outputs, expected) in [("sum", "3.0"), ("rank, sum", "{rank: 1, sum: 3.0}")] {
        sql.batches(&format!("CREATE OR REPLACE MODEL m FROM '{}' WITH (outputs = '{outputs}')", path.display())).await;
        sql.check("SELECT ai_query('m', named_struct('a', 1, 'b', 2))", &[expected]).await;
    }
}
