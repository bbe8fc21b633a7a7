//! Integers and booleans: the columns where speed shows most, so length and value are appended in one piece.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type,
};
use bytes::{BufMut, BytesMut};

use super::cell::{Cell, cell};
use crate::protocol::error::Result;

/// The decimal digits of an integer column that is announced as an integer; `None` for other types.
pub(super) fn any_text(array: &ArrayRef) -> Option<Box<dyn Cell>> {
    Some(match array.data_type() {
        DataType::Int8 => text::<Int8Type>(array),
        DataType::Int16 => text::<Int16Type>(array),
        DataType::Int32 => text::<Int32Type>(array),
        DataType::Int64 => text::<Int64Type>(array),
        DataType::UInt8 => text::<UInt8Type>(array),
        DataType::UInt16 => text::<UInt16Type>(array),
        DataType::UInt32 => text::<UInt32Type>(array),
        _ => return None,
    })
}

fn text<T>(array: &ArrayRef) -> Box<dyn Cell>
where
    T: ArrowPrimitiveType,
    T::Native: itoa::Integer,
{
    Box::new(IntegerText(array.as_primitive::<T>().values().clone()))
}

/// The binary form of a number: `bytes` widens it to the type it is announced as, big-endian.
pub(super) fn binary<T, F, const SIZE: usize>(array: &ArrayRef, bytes: F) -> Box<dyn Cell>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> [u8; SIZE] + Send + Sync + 'static,
{
    Box::new(FixedBinary { values: array.as_primitive::<T>().values().clone(), bytes })
}

/// `t` and `f`.
pub(super) fn boolean_text(array: &ArrayRef) -> Box<dyn Cell> {
    boolean(array, [b"f", b"t"])
}

/// One byte, 0 or 1.
pub(super) fn boolean_binary(array: &ArrayRef) -> Box<dyn Cell> {
    boolean(array, [&[0], &[1]])
}

/// `true` and `false`, as JSON spells them.
pub(super) fn boolean_json(array: &ArrayRef) -> Box<dyn Cell> {
    boolean(array, [b"false", b"true"])
}

fn boolean(array: &ArrayRef, [no, yes]: [&'static [u8]; 2]) -> Box<dyn Cell> {
    let values: BooleanArray = array.as_boolean().clone();
    cell(move |row, out| {
        out.extend_from_slice(if values.value(row) { yes } else { no });
        Ok(())
    })
}

struct IntegerText<N: ArrowNativeType>(ScalarBuffer<N>);

impl<N: ArrowNativeType + itoa::Integer> Cell for IntegerText<N> {
    fn write(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(self.0[row]).as_bytes());
        Ok(())
    }

    fn write_field(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(self.0[row]).as_bytes();
        // Length and digits in one append. Twenty digits and a sign are the most a 64-bit number has.
        let mut field = [0_u8; 25];
        let end = 4 + digits.len();
        field[..4].copy_from_slice(&(digits.len() as i32).to_be_bytes());
        field[4..end].copy_from_slice(digits);
        out.extend_from_slice(&field[..end]);
        Ok(())
    }
}

struct FixedBinary<N: ArrowNativeType, F> {
    values: ScalarBuffer<N>,
    bytes: F,
}

impl<N, F, const SIZE: usize> Cell for FixedBinary<N, F>
where
    N: ArrowNativeType,
    F: Fn(N) -> [u8; SIZE] + Send + Sync,
{
    fn write(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        out.extend_from_slice(&(self.bytes)(self.values[row]));
        Ok(())
    }

    fn write_field(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        out.reserve(4 + SIZE);
        out.put_i32(SIZE as i32);
        out.put_slice(&(self.bytes)(self.values[row]));
        Ok(())
    }
}
