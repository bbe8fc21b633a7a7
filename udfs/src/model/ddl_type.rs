//! Types written as text, in the names of Spark and Databricks and in those of PostgreSQL.
//!
//! ```text
//! type    := scalar | ARRAY < type > | MAP < type , type > | STRUCT < fields > | type [ ]
//! fields  := name [:] type [COMMENT 'text'] , ...
//! ```
//!
//! A list of fields alone (`a STRING, b INT`) is a struct, too. Where the two worlds differ, Databricks' meaning holds:
//! `FLOAT` is single precision, `TIMESTAMP` has a zone and `TIMESTAMP_NTZ` none, `DECIMAL` is `DECIMAL(10, 0)`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use crate::error::FunctionError;

/// Deeper types are refused: the parser calls itself once per level.
const NESTING_LEVELS_MAX: usize = 64;

const DECIMAL_DIGITS_MAX: u8 = 38;

/// Reads a type, or a list of fields as a struct. Every field and element may be NULL.
pub fn parse_ddl_type(text: &str) -> Result<DataType, FunctionError> {
    let single = Parser::new(text).whole(|parser| parser.data_type(0));
    let single_error = match single {
        Ok(data_type) => return Ok(data_type),
        Err(error) => error,
    };
    // `date DATE, n INT` begins like a type: only a reading to the end tells.
    match Parser::new(text).whole(|parser| parser.fields(0)) {
        Ok(fields) => Ok(DataType::Struct(fields)),
        // One word that is no type reads as the name of a field without one: say what is wrong with the word.
        Err(list_error) if list_error.offset_bytes > single_error.offset_bytes && !is_word(text) => {
            Err(list_error.of(text))
        }
        Err(_) => Err(single_error.of(text)),
    }
}

fn is_word(text: &str) -> bool {
    text.trim().chars().all(|character| character.is_alphanumeric() || character == '_')
}

struct Stopped {
    offset_bytes: usize,
    expected: String,
}

impl Stopped {
    fn of(self, text: &str) -> FunctionError {
        FunctionError::TypeSyntax { text: text.to_string(), offset_bytes: self.offset_bytes, expected: self.expected }
    }
}

struct Parser<'a> {
    text: &'a str,
    offset_bytes: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, offset_bytes: 0 }
    }

    fn whole<T>(mut self, read: impl FnOnce(&mut Self) -> Result<T, Stopped>) -> Result<T, Stopped> {
        let read = read(&mut self)?;
        self.skip_space();
        if self.rest().is_empty() { Ok(read) } else { Err(self.stopped("the end of the type")) }
    }

    fn data_type(&mut self, level: usize) -> Result<DataType, Stopped> {
        if level > NESTING_LEVELS_MAX {
            return Err(self.stopped(&format!("at most {NESTING_LEVELS_MAX} levels of nesting")));
        }
        self.skip_space();
        let start_bytes = self.offset_bytes;
        let mut data_type = match self.word().to_ascii_uppercase().as_str() {
            "ARRAY" => self.bracketed(|parser| parser.data_type(level + 1)).map(list)?,
            "MAP" => self.bracketed(|parser| parser.key_and_value(level + 1)).map(map)?,
            "STRUCT" | "ROW" => DataType::Struct(self.bracketed(|parser| parser.fields(level + 1))?),
            name => match self.scalar(name)? {
                Some(scalar) => scalar,
                None => {
                    self.offset_bytes = start_bytes;
                    return Err(self.stopped("a type"));
                }
            },
        };
        let mut level = level;
        while self.symbol('[') {
            level += 1;
            if level > NESTING_LEVELS_MAX || !self.symbol(']') {
                return Err(self.stopped("]"));
            }
            data_type = list(data_type);
        }
        Ok(data_type)
    }

    /// The scalar type called `name`, with the words and numbers that belong to it.
    fn scalar(&mut self, name: &str) -> Result<Option<DataType>, Stopped> {
        Ok(Some(match name {
            "BOOLEAN" | "BOOL" => DataType::Boolean,
            "TINYINT" | "BYTE" => DataType::Int8,
            "SMALLINT" | "SHORT" | "INT2" => DataType::Int16,
            "INT" | "INTEGER" | "INT4" => DataType::Int32,
            "BIGINT" | "LONG" | "INT8" => DataType::Int64,
            "FLOAT" | "REAL" | "FLOAT4" => DataType::Float32,
            "FLOAT8" => DataType::Float64,
            "DOUBLE" => {
                self.keyword("PRECISION");
                DataType::Float64
            }
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal()?,
            "STRING" | "TEXT" => DataType::Utf8,
            "VARCHAR" | "CHAR" | "CHARACTER" => {
                self.keyword("VARYING");
                self.length()?;
                DataType::Utf8
            }
            "BINARY" | "BYTEA" => DataType::Binary,
            "DATE" => DataType::Date32,
            "TIMESTAMP_NTZ" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "TIMESTAMP_LTZ" | "TIMESTAMPTZ" => zoned_timestamp(),
            "TIMESTAMP" if self.keyword("WITHOUT") => {
                self.time_zone()?;
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            "TIMESTAMP" => {
                if self.keyword("WITH") {
                    self.time_zone()?;
                }
                zoned_timestamp()
            }
            _ => return Ok(None),
        }))
    }

    fn decimal(&mut self) -> Result<DataType, Stopped> {
        if !self.symbol('(') {
            return Ok(DataType::Decimal128(10, 0));
        }
        let precision = self.number("a precision of 1 to 38", DECIMAL_DIGITS_MAX)?;
        if precision == 0 {
            return Err(self.stopped("a precision of 1 to 38"));
        }
        let scale = if self.symbol(',') { self.number("a scale of 0 to the precision", precision)? } else { 0 };
        self.expect(')')?;
        let scale = i8::try_from(scale).map_err(|_| self.stopped("a scale of 0 to the precision"))?;
        Ok(DataType::Decimal128(precision, scale))
    }

    /// `(n)` after a character type. The length isn't enforced, as in Spark's reading of results.
    fn length(&mut self) -> Result<(), Stopped> {
        if self.symbol('(') {
            self.skip_space();
            let digits = self.take_while(|character| character.is_ascii_digit());
            if digits.is_empty() {
                return Err(self.stopped("a length"));
            }
            self.expect(')')?;
        }
        Ok(())
    }

    fn time_zone(&mut self) -> Result<(), Stopped> {
        if self.keyword("TIME") && self.keyword("ZONE") { Ok(()) } else { Err(self.stopped("TIME ZONE")) }
    }

    fn key_and_value(&mut self, level: usize) -> Result<(DataType, DataType), Stopped> {
        let key = self.data_type(level)?;
        self.expect(',')?;
        Ok((key, self.data_type(level)?))
    }

    fn fields(&mut self, level: usize) -> Result<Fields, Stopped> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let name = self.field_name()?;
            // Fields are found without regard to case, so two that differ in nothing else are one too many.
            if fields.iter().any(|field| field.name().eq_ignore_ascii_case(&name)) {
                return Err(self.stopped(&format!("another name than the field \"{name}\" before")));
            }
            self.symbol(':');
            let data_type = self.data_type(level)?;
            if self.keyword("COMMENT") {
                self.quoted('\'')?;
            }
            fields.push(Field::new(name, data_type, true));
            if !self.symbol(',') {
                return Ok(Fields::from(fields));
            }
        }
    }

    fn field_name(&mut self) -> Result<String, Stopped> {
        self.skip_space();
        match self.rest().chars().next() {
            Some(quote @ ('`' | '"')) => self.quoted(quote),
            _ => match self.word() {
                "" => Err(self.stopped("a field name")),
                word => Ok(word.to_string()),
            },
        }
    }

    /// A text between `quote`s, doubled inside.
    fn quoted(&mut self, quote: char) -> Result<String, Stopped> {
        self.expect(quote)?;
        let mut found = String::new();
        loop {
            found.push_str(self.take_while(|character| character != quote));
            if self.rest().is_empty() {
                return Err(self.stopped(&format!("a closing {quote}")));
            }
            self.offset_bytes += quote.len_utf8();
            if !self.rest().starts_with(quote) {
                return if found.is_empty() && quote != '\'' { Err(self.stopped("a field name")) } else { Ok(found) };
            }
            self.offset_bytes += quote.len_utf8();
            found.push(quote);
        }
    }

    fn bracketed<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Stopped>) -> Result<T, Stopped> {
        self.expect('<')?;
        let inner = read(self)?;
        self.expect('>')?;
        Ok(inner)
    }

    fn number(&mut self, expected: &str, max: u8) -> Result<u8, Stopped> {
        self.skip_space();
        let start_bytes = self.offset_bytes;
        let digits = self.take_while(|character| character.is_ascii_digit());
        match digits.parse::<u8>() {
            Ok(number) if number <= max => Ok(number),
            _ => {
                self.offset_bytes = start_bytes;
                Err(self.stopped(expected))
            }
        }
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let start_bytes = self.offset_bytes;
        self.skip_space();
        if self.word().eq_ignore_ascii_case(keyword) {
            return true;
        }
        self.offset_bytes = start_bytes;
        false
    }

    fn symbol(&mut self, symbol: char) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(symbol);
        if found {
            self.offset_bytes += symbol.len_utf8();
        }
        found
    }

    fn expect(&mut self, symbol: char) -> Result<(), Stopped> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.stopped(&symbol.to_string())) }
    }

    fn word(&mut self) -> &'a str {
        self.take_while(|character| character.is_alphanumeric() || character == '_')
    }

    fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end_bytes = rest.find(|character| !belongs(character)).unwrap_or(rest.len());
        self.offset_bytes += end_bytes;
        rest.get(..end_bytes).unwrap_or_default()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.offset_bytes..).unwrap_or_default()
    }

    fn stopped(&self, expected: &str) -> Stopped {
        Stopped { offset_bytes: self.offset_bytes, expected: expected.to_string() }
    }
}

fn list(element: DataType) -> DataType {
    DataType::new_list(element, true)
}

fn map((key, value): (DataType, DataType)) -> DataType {
    let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

fn zoned_timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn field_list(fields: &[(&str, DataType)]) -> DataType {
        DataType::Struct(fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect())
    }

    #[test]
    fn reads_the_names_of_both_worlds() {
        for (text, data_type) in [
            ("FLOAT", DataType::Float32),
            (" double precision ", DataType::Float64),
            ("Long", DataType::Int64),
            ("decimal(12, 3)", DataType::Decimal128(12, 3)),
            ("NUMERIC", DataType::Decimal128(10, 0)),
            ("character varying(20)", DataType::Utf8),
            ("timestamp without time zone", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ("TIMESTAMP", zoned_timestamp()),
            ("ARRAY<DOUBLE>", list(DataType::Float64)),
            ("float[][]", list(list(DataType::Float32))),
            ("ARRAY<ARRAY<INT>>", list(list(DataType::Int32))),
            ("MAP<STRING, ARRAY<INT>>", map((DataType::Utf8, list(DataType::Int32)))),
            ("STRUCT<a: STRING, b: INT>", field_list(&[("a", DataType::Utf8), ("b", DataType::Int32)])),
            ("struct<Label STRING COMMENT 'it''s', `my x` real>", {
                field_list(&[("Label", DataType::Utf8), ("my x", DataType::Float32)])
            }),
            ("a STRING, b INT", field_list(&[("a", DataType::Utf8), ("b", DataType::Int32)])),
            ("date DATE", field_list(&[("date", DataType::Date32)])),
            ("STRUCT<inner: STRUCT<x: INT>>[]", {
                list(field_list(&[("inner", field_list(&[("x", DataType::Int32)]))]))
            }),
        ] {
            assert_eq!(parse_ddl_type(text).as_ref(), Ok(&data_type), "{text}");
        }
    }

    #[test]
    fn refuses_with_the_place_and_the_expectation() {
        for (text, place, expectation) in [
            ("", 0, "a type"),
            ("VECTOR", 0, "a type"),
            ("ARRAY<INT", 9, ">"),
            ("ARRAY (INT)", 6, "<"),
            ("INT INT INT", 8, "the end of the type"),
            ("STRUCT<a: >", 10, "a type"),
            ("STRUCT<>", 7, "a field name"),
            ("STRUCT<a: INT, A: INT>", 16, "another name than the field \"A\" before"),
            ("DECIMAL(39)", 8, "a precision of 1 to 38"),
            ("DECIMAL(5, 6)", 11, "a scale of 0 to the precision"),
            ("STRUCT<`a: INT>", 15, "a closing `"),
            ("timestamp with zone", 14, "TIME ZONE"),
        ] {
            match parse_ddl_type(text) {
                Err(FunctionError::TypeSyntax { offset_bytes, expected, .. }) => {
                    assert_eq!((offset_bytes, expected.as_str()), (place, expectation), "{text}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{}INT{}", "ARRAY<".repeat(levels), ">".repeat(levels));
        assert!(parse_ddl_type(&nested(64)).is_ok());
        assert!(parse_ddl_type(&nested(65)).is_err());
        assert!(parse_ddl_type(&nested(100_000)).is_err());
        assert!(parse_ddl_type(&format!("INT{}", "[]".repeat(100_000))).is_err());
    }

    #[test]
    fn no_input_panics() {
        let pieces = [
            "STRUCT", "ARRAY", "<", ">", "a", ":", ",", "`", "'", "\"", "INT", "DECIMAL", "(", "9", ")", "[", "é", " ",
        ];
        let mut random = Random(5);
        for _ in 0..20_000 {
            let length = random.integer() % 12;
            let text: String = (0..length).map(|_| pieces[(random.integer() % pieces.len() as u64) as usize]).collect();
            let _ = parse_ddl_type(&text);
        }
    }
}
