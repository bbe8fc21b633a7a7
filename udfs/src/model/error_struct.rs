//! What a call with `failOnError => false` returns: the result beside how it went.

use arrow::datatypes::{DataType, Field, Fields};

/// The field that holds the model's result.
pub const RESULT_FIELD: &str = "result";

/// Another name for [`RESULT_FIELD`], which some of Databricks' documents use.
pub const RESULT_FIELD_ALIAS: &str = "response";

/// The struct that a call returns per row when it may not fail, `result` being the type that it returns otherwise.
///
/// `errorMessage` and `errorClass` are NULL where the call succeeded; `result` is NULL where it failed, or where the
/// request was NULL. `latencyMs` is in milliseconds, tokens are counted as the model's own tokenizer does.
pub fn error_struct(result: DataType) -> DataType {
    DataType::Struct(Fields::from(vec![
        Field::new(RESULT_FIELD, result, true),
        Field::new("errorMessage", DataType::Utf8, true),
        Field::new("errorClass", DataType::Utf8, true),
        Field::new("attempts", DataType::Int32, true),
        Field::new("latencyMs", DataType::Float64, true),
        Field::new("inputTokens", DataType::Int64, true),
        Field::new("outputTokens", DataType::Int64, true),
        Field::new("truncated", DataType::Boolean, true),
        Field::new("cached", DataType::Boolean, true),
    ]))
}
