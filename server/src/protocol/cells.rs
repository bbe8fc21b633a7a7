//! DataRow messages back into values: for printing results in the very form in which clients get them.

use bytes::Buf;

use super::error::{Kind, Result, ValueError};

/// A value in text form, or NULL.
pub type Cell = Option<String>;

/// Splits whole DataRow messages in text format into rows of cells.
pub fn cells(mut messages: &[u8]) -> Result<Vec<Vec<Cell>>> {
    let mut rows = vec![];
    while messages.has_remaining() {
        rows.push(row(&mut messages).ok_or_else(|| ValueError::new(Kind::Internal, "broken DataRow message"))?);
    }
    Ok(rows)
}

fn row(messages: &mut &[u8]) -> Option<Vec<Cell>> {
    let _kind = messages.try_get_u8().ok()?;
    let _length = messages.try_get_u32().ok()?;
    let columns = messages.try_get_u16().ok()?;
    let mut cells = Vec::with_capacity(usize::from(columns));
    for _ in 0..columns {
        let length = messages.try_get_i32().ok()?;
        cells.push(match usize::try_from(length) {
            Ok(length) => {
                let (text, rest) = messages.split_at_checked(length)?;
                *messages = rest;
                Some(String::from_utf8_lossy(text).into_owned())
            }
            Err(_) => None,
        });
    }
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_back_whole() {
        let messages = b"D\0\0\0\x0f\0\x02\0\0\0\x01a\xff\xff\xff\xffD\0\0\0\x06\0\0";
        assert_eq!(cells(messages).unwrap(), vec![vec![Some("a".to_string()), None], vec![]]);
        assert!(cells(b"D\0\0").is_err());
    }
}
