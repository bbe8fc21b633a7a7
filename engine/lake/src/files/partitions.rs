//! Columns whose values stand in the names of folders: `year=2026/month=3/`, as Hive and Spark write them.

use std::sync::Arc;

use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::ScalarValue;

use super::find::FoundFile;
use crate::error::{Error, Result};

/// The folder of rows whose value is NULL.
pub(super) const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

pub(super) struct Partitions {
    pub fields: Vec<FieldRef>,
    /// One row for each file.
    pub values: Vec<Vec<ScalarValue>>,
}

impl Partitions {
    pub fn none(files: usize) -> Partitions {
        Partitions { fields: vec![], values: vec![vec![]; files] }
    }

    /// `wanted`: the columns that were declared as partitions, in the folders' order. `columns`: declared types.
    pub fn of(
        files: &[FoundFile],
        wanted: Option<&[String]>,
        columns: Option<&Schema>,
        asked: Option<bool>,
    ) -> Result<Partitions> {
        let pairs: Vec<Vec<(String, Option<String>)>> = files.iter().map(|file| pairs(&file.folders)).collect();
        let names = |pairs: &[(String, Option<String>)]| pairs.iter().map(|(name, _)| name.clone()).collect();
        let found: Vec<String> = pairs.first().map(|pairs| names(pairs)).unwrap_or_default();
        let alike = pairs.iter().all(|pairs| names(pairs) == found);
        let names = match wanted {
            Some(wanted) => wanted.to_vec(),
            None if alike => found,
            None if asked == Some(true) => return Err(different()),
            None => vec![],
        };
        if names.is_empty() {
            return Ok(Partitions::none(files.len()));
        }
        let mut texts: Vec<Vec<Option<String>>> = vec![vec![]; names.len()];
        for (pairs, file) in pairs.iter().zip(files) {
            for (texts, name) in texts.iter_mut().zip(&names) {
                let value = pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
                texts.push(value.ok_or_else(|| missing(name, file))?);
            }
        }
        let declared = |name: &String| {
            let field = columns.and_then(|columns| columns.field_with_name(name).ok());
            field.map(|field| field.data_type().clone())
        };
        let mut partitions = Partitions { fields: vec![], values: vec![vec![]; files.len()] };
        for (name, texts) in names.iter().zip(texts) {
            let data_type = declared(name).unwrap_or_else(|| type_of(&texts));
            for (values, text) in partitions.values.iter_mut().zip(&texts) {
                values.push(value(name, text.as_deref(), &data_type)?);
            }
            partitions.fields.push(Arc::new(Field::new(name, data_type, true)));
        }
        Ok(partitions)
    }
}

fn different() -> Error {
    Error::InvalidDefinition { message: "the files lie in folders of different partition columns".to_owned() }
}

fn missing(name: &str, file: &FoundFile) -> Error {
    let message =
        format!("no folder of {} has a value of partition column \"{name}\"", super::find::shown(&file.object));
    Error::InvalidDefinition { message }
}

fn pairs(folders: &[String]) -> Vec<(String, Option<String>)> {
    let pair = |folder: &String| {
        let (name, value) = folder.split_once('=')?;
        let value = decoded(value);
        Some((decoded(name), (value != NULL_FOLDER && !value.is_empty()).then_some(value)))
    };
    folders.iter().filter_map(pair).collect()
}

/// Without percent signs, as often as the writer and the store have put them in.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = match (first, tail) {
            (b'%', [high, low, ..]) => {
                std::str::from_utf8(&[*high, *low]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())
            }
            _ => None,
        };
        match digits {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// The narrowest of BIGINT, DATE and TEXT that spells every value as it is spelled.
fn type_of(texts: &[Option<String>]) -> DataType {
    let all = |fits: &dyn Fn(&str) -> bool| {
        texts.iter().flatten().next().is_some() && texts.iter().flatten().all(|text| fits(text))
    };
    if all(&|text| text.parse::<i64>().is_ok_and(|number| number.to_string() == text)) {
        return DataType::Int64;
    }
    let date =
        |text: &str| text.len() == 10 && value("", Some(text), &DataType::Date32).is_ok_and(|date| !date.is_null());
    if all(&date) { DataType::Date32 } else { DataType::Utf8 }
}

fn value(name: &str, text: Option<&str>, data_type: &DataType) -> Result<ScalarValue> {
    let text = ScalarValue::Utf8(text.map(str::to_owned));
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = cast_with_options(&text.to_array()?, data_type, &strict);
    let cast = cast.map_err(|error| Error::CastFailed { column: name.to_owned(), message: error.to_string() })?;
    Ok(ScalarValue::try_from_array(&cast, 0)?)
}
