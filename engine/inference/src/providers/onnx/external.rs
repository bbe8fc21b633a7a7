//! The data files an ONNX file refers to: large models keep their weights beside the graph. Reads just as much of the
//! protobuf as that takes (`onnx.proto`: ModelProto.graph = 7, GraphProto.initializer = 5, TensorProto.external_data =
//! 13) and skips the weights themselves.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Component, Path},
};

use crate::error::{Error, Result};

const MODEL_GRAPH: u64 = 7;
const GRAPH_INITIALIZER: u64 = 5;
const TENSOR_EXTERNAL_DATA: u64 = 13;
const ENTRY_KEY: u64 = 1;
const ENTRY_VALUE: u64 = 2;

/// File names are short; a longer field is none.
const NAME_BYTES_MAX: u64 = 4_096;

/// Paths relative to the graph's folder, without repetition. One that leads out of the folder is refused.
pub(crate) fn files(graph: &Path) -> Result<Vec<String>> {
    let invalid = |reason: String| Error::ModelInvalid { path: graph.into(), reason };
    let file = File::open(graph).map_err(|error| invalid(error.to_string()))?;
    let length = file.metadata().map_err(|error| invalid(error.to_string()))?.len();
    let mut reader = Fields { input: BufReader::new(file), position: 0 };
    let mut found = BTreeSet::new();
    walk(&mut reader, length, &[MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_EXTERNAL_DATA], &mut found)
        .map_err(|error| invalid(format!("the file is truncated or corrupt: {error}")))?;
    for name in &found {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || name.is_empty() {
            return Err(invalid(format!("its data file \"{name}\" lies outside its folder")));
        }
    }
    Ok(found.into_iter().collect())
}

/// Descends into the fields of `path`, one a level, and reads the entry at its end.
fn walk(reader: &mut Fields, end: u64, path: &[u64], found: &mut BTreeSet<String>) -> std::io::Result<()> {
    let Some((wanted, deeper)) = path.split_first() else {
        return entry(reader, end, found);
    };
    while reader.position < end {
        let (field, length) = reader.header(end)?;
        let inner_end = reader.position + length;
        if field == *wanted {
            walk(reader, inner_end, deeper, found)?;
        }
        reader.skip_to(inner_end)?;
    }
    Ok(())
}

/// A `StringStringEntryProto`; that of key `location` names a file.
fn entry(reader: &mut Fields, end: u64, found: &mut BTreeSet<String>) -> std::io::Result<()> {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    while reader.position < end {
        let (field, length) = reader.header(end)?;
        match field {
            ENTRY_KEY if length <= NAME_BYTES_MAX => key = reader.bytes(length)?,
            ENTRY_VALUE if length <= NAME_BYTES_MAX => value = reader.bytes(length)?,
            _ => reader.skip_to(reader.position + length)?,
        }
    }
    if key == b"location" {
        found.insert(String::from_utf8_lossy(&value).into_owned());
    }
    Ok(())
}

struct Fields {
    input: BufReader<File>,
    position: u64,
}

impl Fields {
    /// The next field's number and length; a scalar field counts as a field of its own size.
    fn header(&mut self, end: u64) -> std::io::Result<(u64, u64)> {
        let tag = self.varint()?;
        let length = match tag & 7 {
            0 => {
                self.varint()?;
                0
            }
            1 => 8,
            2 => self.varint()?,
            5 => 4,
            _ => return Err(corrupt("unknown wire type")),
        };
        match self.position.checked_add(length) {
            Some(field_end) if field_end <= end => Ok((tag >> 3, length)),
            _ => Err(corrupt("a field is longer than what holds it")),
        }
    }

    fn varint(&mut self) -> std::io::Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = match self.input.fill_buf()?.first() {
                Some(&byte) => byte,
                None => return Err(corrupt("it ends early")),
            };
            self.input.consume(1);
            self.position += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(corrupt("a number is too long"))
    }

    fn bytes(&mut self, length: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| corrupt("a field is too long"))?];
        self.input.read_exact(&mut bytes)?;
        self.position += length;
        Ok(bytes)
    }

    fn skip_to(&mut self, position: u64) -> std::io::Result<()> {
        let distance = i64::try_from(position.saturating_sub(self.position)).map_err(|_| corrupt("it is too long"))?;
        self.input.seek_relative(distance)?;
        self.position = position;
        Ok(())
    }
}

fn corrupt(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        bytes.extend_from_slice(content);
        bytes
    }

    fn model(location: &str) -> Vec<u8> {
        let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
        let tensor = [field(9, &[7; 20]), field(13, &entry)].concat();
        [vec![0x08, 0x0a], field(7, &field(5, &tensor))].concat()
    }

    fn check(bytes: &[u8]) -> Result<Vec<String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        files(file.path())
    }

    #[test]
    fn finds_data_files() {
        assert_eq!(check(&model("model.onnx_data")).unwrap(), ["model.onnx_data"]);
        assert_eq!(check(&[]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn refuses_what_leads_out_and_what_is_cut() {
        assert!(matches!(check(&model("../secret")), Err(Error::ModelInvalid { .. })));
        assert!(matches!(check(&model("/etc/passwd")), Err(Error::ModelInvalid { .. })));
        let whole = model("weights.bin");
        for length in 3..whole.len() {
            assert!(check(&whole[..length]).is_err(), "{length}");
        }
        assert!(check(&[0xff; 40]).is_err());
    }
}
