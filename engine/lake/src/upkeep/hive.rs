//! Folders that name partitions: `column=value`, with what a file system refuses written as `%XX`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::error::{Error, Result};
use crate::types::storable;

const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The column and the value of a folder; `None` inside is NULL.
pub(super) fn read(folder: &str) -> Option<(String, Option<String>)> {
    let (name, value) = folder.split_once('=')?;
    let value = (value != NULL && !value.is_empty()).then(|| unescaped(value)).flatten();
    Some((unescaped(name)?, value))
}

/// `None` when the bytes are no UTF-8.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = others.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// The value as the log writes values of the column's type.
///
/// # Errors
/// [`Error::CastFailed`] when it is none.
pub(super) fn typed(value: &str, column: &Field, path: &str) -> Result<String> {
    let failed = || Error::CastFailed {
        column: column.name().clone(),
        message: format!("the folder of file \"{path}\" has the value \"{value}\""),
    };
    let data_type = storable(column.data_type())?;
    let text: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let value = cast_with_options(&text, &data_type, &options).map_err(|_| failed())?;
    let text = cast_with_options(&value, &DataType::Utf8, &options).map_err(|_| failed())?;
    let text = text.as_string_opt::<i32>().filter(|text| text.len() == 1 && text.is_valid(0)).ok_or_else(failed)?;
    Ok(match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, _) => text.value(0).replace('T', " ").replace('Z', ""),
        _ => text.value(0).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_and_values_typed() {
        assert_eq!(read("p=a%20b%25%2F"), Some(("p".into(), Some("a b%/".into()))));
        assert_eq!(read("p=100%"), Some(("p".into(), Some("100%".into()))));
        assert_eq!(read("p=__HIVE_DEFAULT_PARTITION__"), Some(("p".into(), None)));
        assert_eq!(read("p"), None);
        let column = |data_type| Field::new("p", data_type, true);
        assert_eq!(typed("007", &column(DataType::Int32), "f").unwrap(), "7");
        assert_eq!(typed("2024-02-29", &column(DataType::Date32), "f").unwrap(), "2024-02-29");
        let time = column(DataType::Timestamp(TimeUnit::Microsecond, None));
        assert_eq!(typed("2024-02-29 10:00:00.5", &time, "f").unwrap(), "2024-02-29 10:00:00.500");
        assert!(typed("2024-02-30", &column(DataType::Date32), "f").is_err());
        assert!(typed("x", &column(DataType::Int32), "f").is_err());
    }
}
