//! Fields of one column into an array. Usual spellings are read by `plain`, the rest as parameters are.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanBuilder, ListArray, PrimitiveArray, StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion_common::ScalarValue;

use super::fault::not_utf8;
use super::gathered::Gathered;
use super::{json, plain};
use crate::protocol::decode;
use crate::protocol::encode::Format;
use crate::protocol::error::{Kind, Result, ValueError};
use crate::protocol::time_zone::TimeZone;
use crate::protocol::types::{JSON, pg_type};

/// The fields of one column, of the first rows of what is gathered.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub fields: &'a Gathered,
    pub column: usize,
    pub rows: usize,
    pub format: Format,
    pub time_zone: &'a TimeZone,
}

/// The first field that isn't a value of its column's type.
#[derive(Debug)]
pub(super) struct Bad {
    pub row: usize,
    pub error: ValueError,
}

impl<'a> Source<'a> {
    pub fn array(&self, data_type: &DataType) -> Result<ArrayRef, Bad> {
        if self.format == Format::Text
            && let Some(array) = self.text_array(data_type)
        {
            return array;
        }
        match data_type {
            DataType::Utf8 => self.strings(),
            nested if pg_type(nested).oid == JSON => self.documents(nested),
            _ => self.scalars(data_type),
        }
    }

    /// A JSON document; `null` is none.
    pub fn document(&self, row: usize) -> Option<&'a [u8]> {
        self.field(row).map(<[u8]>::trim_ascii).filter(|text| *text != b"null")
    }

    /// What is announced as `json`: structs, maps, and lists of them.
    fn documents(&self, data_type: &DataType) -> Result<ArrayRef, Bad> {
        for row in 0..self.rows {
            if let Some(bytes) = self.field(row) {
                let checked = decode::parameter(Some(bytes), self.format, JSON, &DataType::Utf8, self.time_zone);
                checked.map_err(|error| Bad { row, error })?;
            }
        }
        let text = Source { format: Format::Text, ..*self };
        json::array(&text, data_type).map_err(|error| {
            // Read one by one, the bad row is the one that fails.
            let fails = |row: &usize| {
                let mut one = Gathered::new(1);
                match text.field(*row) {
                    Some(bytes) => {
                        one.put(bytes);
                        one.end_field();
                    }
                    None => one.end_null(),
                }
                one.end_row(0);
                json::array(&Source { fields: &one, column: 0, rows: 1, ..text }, data_type).is_err()
            };
            Bad { row: (0..self.rows).find(fails).unwrap_or_default(), error }
        })
    }

    fn field(&self, row: usize) -> Option<&'a [u8]> {
        self.fields.field(row, self.column)
    }

    /// Types that have a usual spelling.
    fn text_array(&self, data_type: &DataType) -> Option<Result<ArrayRef, Bad>> {
        Some(match data_type {
            DataType::Boolean => self.booleans(),
            DataType::Int8 => self.integers::<Int8Type>(data_type),
            DataType::Int16 => self.integers::<Int16Type>(data_type),
            DataType::Int32 => self.integers::<Int32Type>(data_type),
            DataType::Int64 => self.integers::<Int64Type>(data_type),
            DataType::Float32 => self.primitives::<Float32Type>(data_type, plain::float),
            DataType::Float64 => self.primitives::<Float64Type>(data_type, plain::float),
            DataType::Date32 => self.primitives::<Date32Type>(data_type, plain::date),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                self.primitives::<TimestampMicrosecondType>(data_type, plain::timestamp)
            }
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
                self.primitives::<TimestampMicrosecondType>(data_type, plain::timestamp_utc)
            }
            DataType::Decimal128(precision, scale) => {
                self.primitives::<Decimal128Type>(data_type, |text| plain::decimal(text, *precision, *scale))
            }
            DataType::List(element) => return self.simple_lists(element).map(Ok),
            _ => return None,
        })
    }

    fn integers<T>(&self, data_type: &DataType) -> Result<ArrayRef, Bad>
    where
        T: ArrowPrimitiveType,
        T::Native: TryFrom<i64>,
    {
        self.primitives::<T>(data_type, |text| T::Native::try_from(plain::integer(text)?).ok())
    }

    fn primitives<T: ArrowPrimitiveType>(
        &self,
        data_type: &DataType,
        usual: impl Fn(&[u8]) -> Option<T::Native>,
    ) -> Result<ArrayRef, Bad> {
        let mut values = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            let value = match self.field(row) {
                None => None,
                Some(bytes) => match usual(bytes) {
                    Some(value) => Some(value),
                    None => Some(self.unusual::<T>(row, bytes, data_type)?),
                },
            };
            values.push(value);
        }
        let array: PrimitiveArray<T> = values.into_iter().collect();
        Ok(Arc::new(array.with_data_type(data_type.clone())))
    }

    #[cold]
    fn unusual<T: ArrowPrimitiveType>(&self, row: usize, bytes: &[u8], data_type: &DataType) -> Result<T::Native, Bad> {
        let value = self.scalar(bytes, data_type).and_then(|value| array_of(&value));
        let array = value.map_err(|error| Bad { row, error })?;
        match array.as_primitive_opt::<T>() {
            Some(array) if array.len() == 1 && array.is_valid(0) => Ok(array.value(0)),
            _ => Err(Bad { row, error: internal("a field became a value of another type") }),
        }
    }

    fn booleans(&self) -> Result<ArrayRef, Bad> {
        let mut values = BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            values.append_option(match self.field(row) {
                None => None,
                Some(bytes) => match plain::boolean(bytes) {
                    Some(value) => Some(value),
                    None => match self.scalar(bytes, &DataType::Boolean).map_err(|error| Bad { row, error })? {
                        ScalarValue::Boolean(value) => value,
                        _ => return Err(Bad { row, error: internal("a field became a value of another type") }),
                    },
                },
            });
        }
        Ok(Arc::new(values.finish()))
    }

    /// Text as it came. Lines have been checked to be UTF-8 as a whole, fields of tuples haven't.
    fn strings(&self) -> Result<ArrayRef, Bad> {
        let mut offsets = Vec::with_capacity(self.rows + 1);
        let mut bytes = Vec::new();
        let mut valid = Vec::with_capacity(self.rows);
        offsets.push(0_i32);
        for row in 0..self.rows {
            let field = self.field(row);
            if let Some(field) = field {
                if self.format == Format::Binary && not_utf8(field).is_some() {
                    // Asked anew for its error, in the words of values.
                    let error = self.scalar(field, &DataType::Utf8).err();
                    return Err(Bad { row, error: error.unwrap_or_else(|| internal("text that is none")) });
                }
                bytes.extend_from_slice(field);
            }
            valid.push(field.is_some());
            offsets
                .push(i32::try_from(bytes.len()).map_err(|_| Bad { row, error: internal("too much text at once") })?);
        }
        let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let array = StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls);
        array.map(|array| Arc::new(array) as ArrayRef).map_err(|error| Bad { row: 0, error: internal(error) })
    }

    /// Lists such as `{1,2,NULL}`: of one dimension, without quotes. `None` when a row has another, or a wrong one.
    fn simple_lists(&self, element: &FieldRef) -> Option<ArrayRef> {
        let mut items = Gathered::new(1);
        let mut offsets = Vec::with_capacity(self.rows + 1);
        let mut valid = Vec::with_capacity(self.rows);
        offsets.push(0_i32);
        for row in 0..self.rows {
            let field = self.field(row);
            if let Some(text) = field {
                let inner = text.strip_prefix(b"{")?.strip_suffix(b"}")?;
                if inner.iter().any(|byte| matches!(byte, b'{' | b'}' | b'"' | b'\\')) {
                    return None;
                }
                if !inner.trim_ascii().is_empty() {
                    split_items(inner, &mut items)?;
                }
            }
            valid.push(field.is_some());
            offsets.push(i32::try_from(items.rows()).ok()?);
        }
        let source = Source { fields: &items, column: 0, rows: items.rows(), ..*self };
        let elements = source.array(element.data_type()).ok()?;
        let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let lists = ListArray::try_new(Arc::clone(element), offsets, elements, nulls).ok()?;
        Some(Arc::new(lists))
    }

    /// Any type, a value at a time.
    fn scalars(&self, data_type: &DataType) -> Result<ArrayRef, Bad> {
        let null = ScalarValue::try_new_null(data_type).map_err(|error| Bad { row: 0, error: internal(error) })?;
        let mut values = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            values.push(match self.field(row) {
                None => null.clone(),
                Some(bytes) => self.scalar(bytes, data_type).map_err(|error| Bad { row, error })?,
            });
        }
        if values.is_empty() {
            return Ok(arrow::array::new_empty_array(data_type));
        }
        ScalarValue::iter_to_array(values).map_err(|error| Bad { row: 0, error: internal(error) })
    }

    /// A value of exactly `data_type`.
    fn scalar(&self, bytes: &[u8], data_type: &DataType) -> Result<ScalarValue> {
        let oid = pg_type(data_type).oid;
        let value = decode::parameter(Some(bytes), self.format, oid, data_type, self.time_zone)?;
        if value.data_type() == *data_type {
            return Ok(value);
        }
        let cast = value.cast_to(data_type);
        match (data_type, cast) {
            // As an assignment rounds.
            (_, Ok(cast)) if !cast.is_null() => Ok(cast),
            (DataType::Decimal128(precision, scale), _) => Err(overflow(*precision, *scale)),
            _ => Err(ValueError::new(Kind::NumberOutOfRange, format!("a value is out of range for type {data_type}"))),
        }
    }
}

/// The items between commas; `None` if one has neither letters nor digits.
fn split_items(inner: &[u8], items: &mut Gathered) -> Option<()> {
    for item in inner.split(|byte| *byte == b',') {
        let item = item.trim_ascii();
        if item.is_empty() {
            return None;
        }
        if item.eq_ignore_ascii_case(b"null") {
            items.end_null();
        } else {
            items.put(item);
            items.end_field();
        }
        items.end_row(0);
    }
    Some(())
}

fn array_of(value: &ScalarValue) -> Result<ArrayRef> {
    value.to_array().map_err(internal)
}

fn overflow(precision: u8, scale: i8) -> ValueError {
    let whole = i16::from(precision) - i16::from(scale);
    let bound = if whole > 0 { format!("10^{whole}") } else { "1".to_owned() };
    ValueError::new(Kind::NumberOutOfRange, "numeric field overflow").with_detail(format!(
        "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
    ))
}

fn internal(error: impl std::fmt::Display) -> ValueError {
    ValueError::new(Kind::Internal, format!("internal error: {error}"))
}
