//! RowDescription and format codes: what a client is told of columns, and what it asks for.

use arrow::datatypes::Schema;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, NoData, RowDescription};

use super::encode::Format;
use super::report::{Report, without_nul};
use super::types::pg_type;
use crate::sqlstate::SqlState;

/// PostgreSQL's limit on the columns of a result.
const COLUMNS_MAX: usize = 1664;

/// RowDescription of a result's columns. `formats`: one for each column, or none before they are known.
pub fn row_description(schema: &Schema, formats: &[Format]) -> Result<PgWireBackendMessage, Report> {
    if schema.fields().len() > COLUMNS_MAX {
        let message = format!("target lists can have at most {COLUMNS_MAX} entries");
        return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    let fields = schema.fields().iter().enumerate().map(|(at, field)| {
        let pg_type = pg_type(field.data_type());
        let format = formats.get(at).copied().unwrap_or(Format::Text);
        let name = without_nul(field.name().clone());
        FieldDescription::new(name, 0, 0, pg_type.oid, pg_type.size, pg_type.modifier, format.code())
    });
    Ok(PgWireBackendMessage::RowDescription(RowDescription::new(fields.collect())))
}

/// RowDescription, or NoData for a statement without rows.
pub fn description(schema: &Schema, returns_rows: bool, formats: &[Format]) -> Result<PgWireBackendMessage, Report> {
    if returns_rows { row_description(schema, formats) } else { Ok(PgWireBackendMessage::NoData(NoData::new())) }
}

/// Spreads format codes over `count` columns or parameters: none means text, one is for all.
pub fn formats(codes: &[i16], count: usize, mismatch: impl Fn() -> String) -> Result<Vec<Format>, Report> {
    match codes {
        [] => Ok(vec![Format::Text; count]),
        [code] => Ok(vec![Format::from_code(*code)?; count]),
        codes if codes.len() == count => codes.iter().map(|code| Ok(Format::from_code(*code)?)).collect(),
        _ => Err(Report::protocol_violation(mismatch())),
    }
}

/// Whether a client that was told of one result can read the other: same number of columns, same types.
pub fn same_types(announced: &Schema, actual: &Schema) -> bool {
    announced.fields().len() == actual.fields().len()
        && announced
            .fields()
            .iter()
            .zip(actual.fields())
            .all(|(announced, actual)| pg_type(announced.data_type()).oid == pg_type(actual.data_type()).oid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_codes_are_none_one_or_all() {
        let mismatch = || "mismatch".to_string();
        assert_eq!(formats(&[], 2, mismatch).unwrap(), [Format::Text, Format::Text]);
        assert_eq!(formats(&[1], 2, mismatch).unwrap(), [Format::Binary, Format::Binary]);
        assert_eq!(formats(&[1, 0], 2, mismatch).unwrap(), [Format::Binary, Format::Text]);
        assert_eq!(formats(&[1, 0], 3, mismatch).unwrap_err().state, SqlState::PROTOCOL_VIOLATION);
        assert_eq!(formats(&[2], 1, mismatch).unwrap_err().state, SqlState::PROTOCOL_VIOLATION);
    }
}
