//! What a model says about itself. A `ModelSpec` is read once by `Runtime::inspect`, stored in the catalog, and is all
//! that planning needs: the types of a call are known without loading the model.

use arrow::datatypes::{DataType, Field, Fields};
use serde::{Deserialize, Serialize};

use crate::{binding::Binding, error::Result, options::Pooling};

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Any graph over columns.
    Graph,
    /// Text to one vector.
    Encoder,
    /// Text to a label and its score.
    Classifier,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ModelSpec {
    pub kind: Kind,
    /// `tabular`, `feature-extraction` or `text-classification`.
    pub task: String,
    /// The graph's inputs for a graph; `text` for the other kinds.
    pub inputs: Vec<Port>,
    /// The graph outputs that are returned; for an encoder or a classifier, the one that is read.
    pub outputs: Vec<Port>,
    /// The tokenizer's algorithm, such as `WordPiece`.
    pub tokenizer: Option<String>,
    pub pooling: Option<Pooling>,
    pub normalize: bool,
    /// Length of an embedding.
    pub dimension: Option<usize>,
    /// Longest input in tokens, special tokens included.
    pub max_length: Option<usize>,
    pub labels: Vec<String>,
    pub size_bytes: u64,
    /// The files the model consists of, relative to its folder, with `/`.
    pub files: Vec<String>,
    /// Column names of the one input that is wider than one value.
    pub features: Option<Vec<String>>,
    /// The graph among `files`.
    pub graph: String,
    /// What is done to a text before it is tokenized, and to scores after.
    #[serde(default)]
    pub text: TextSpec,
}

/// The parts of a text model's preprocessing that lie outside its tokenizer.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct TextSpec {
    /// Surrounding white space is removed, as sentence-transformers does.
    pub trim: bool,
    pub lower_case: bool,
    /// Put before every text.
    pub prompt: Option<String>,
    pub pad_id: u32,
    pub activation: Activation,
}

/// How logits become scores; the rule of the `text-classification` pipeline of transformers.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    #[default]
    Softmax,
    Sigmoid,
    Identity,
}

impl ModelSpec {
    /// The type of one call's result.
    pub fn output_type(&self) -> DataType {
        match self.kind {
            Kind::Encoder => DataType::new_list(DataType::Float32, true),
            Kind::Classifier => DataType::Struct(classifier_fields()),
            Kind::Graph => match self.outputs.as_slice() {
                [only] => only.data_type(),
                several => DataType::Struct(
                    several.iter().map(|port| Field::new(&port.name, port.data_type(), true)).collect(),
                ),
            },
        }
    }

    /// Finds for each input of the model the field of a request of type `request` that feeds it. Names are matched
    /// exactly, and without regard to case where no exact match exists. Pure: no model is touched.
    pub fn bind(&self, request: &DataType) -> Result<Binding> {
        Binding::new(self, request)
    }
}

pub(crate) fn classifier_fields() -> Fields {
    Fields::from(vec![Field::new("label", DataType::Utf8, true), Field::new("score", DataType::Float32, true)])
}

/// One input or output of a model.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub element: Element,
    /// Dimensions of the tensor, rows first; -1 is open.
    pub shape: Vec<i64>,
    /// Set for a sequence of maps, one map a row (scikit-learn's ZipMap): the type of the keys.
    #[serde(default)]
    pub map_key: Option<Element>,
}

impl Port {
    pub(crate) fn text() -> Port {
        Port { name: "text".into(), element: Element::String, shape: vec![-1], map_key: None }
    }

    /// The dimensions of one row: empty for `[N]` and `[N, 1]`.
    pub(crate) fn row_shape(&self) -> &[i64] {
        match self.shape.as_slice() {
            [] | [_] | [_, 1] => &[],
            [_, rest @ ..] => rest,
        }
    }

    /// Values in one row; `None` where the model leaves it open.
    pub(crate) fn row_width(&self) -> Option<usize> {
        self.row_shape().iter().try_fold(1usize, |width, &dimension| {
            usize::try_from(dimension).ok().and_then(|dimension| width.checked_mul(dimension))
        })
    }

    /// The number of rows a run must have, where the graph fixes it.
    pub(crate) fn fixed_rows(&self) -> Option<usize> {
        self.shape.first().and_then(|&rows| usize::try_from(rows).ok()).filter(|&rows| rows > 0)
    }

    pub fn data_type(&self) -> DataType {
        if let Some(key) = self.map_key {
            let entries = Fields::from(vec![
                Field::new("keys", key.data_type(), false),
                Field::new("values", self.element.data_type(), true),
            ]);
            return DataType::Map(Field::new("entries", DataType::Struct(entries), false).into(), false);
        }
        self.row_shape().iter().fold(self.element.data_type(), |inner, _| DataType::new_list(inner, true))
    }

    /// The type in SQL's words: `FLOAT`, `TEXT`, `FLOAT[30]`.
    pub fn sql_type(&self) -> String {
        if let Some(key) = self.map_key {
            return format!("MAP({}, {})", key.sql_name(), self.element.sql_name());
        }
        let mut text = self.element.sql_name().to_string();
        for &dimension in self.row_shape() {
            match dimension {
                open if open < 0 => text.push_str("[]"),
                fixed => text.push_str(&format!("[{fixed}]")),
            }
        }
        text
    }
}

/// The element types of tensors that have an Arrow type.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float16,
    /// Arrow has no such type: read and returned as `Float32`, which holds every value.
    BFloat16,
    Float32,
    Float64,
    String,
}

impl Element {
    pub fn data_type(self) -> DataType {
        match self {
            Element::Bool => DataType::Boolean,
            Element::Int8 => DataType::Int8,
            Element::Int16 => DataType::Int16,
            Element::Int32 => DataType::Int32,
            Element::Int64 => DataType::Int64,
            Element::UInt8 => DataType::UInt8,
            Element::UInt16 => DataType::UInt16,
            Element::UInt32 => DataType::UInt32,
            Element::UInt64 => DataType::UInt64,
            Element::Float16 => DataType::Float16,
            Element::BFloat16 | Element::Float32 => DataType::Float32,
            Element::Float64 => DataType::Float64,
            Element::String => DataType::Utf8,
        }
    }

    pub fn sql_name(self) -> &'static str {
        match self {
            Element::Bool => "BOOLEAN",
            Element::Int8 => "TINYINT",
            Element::Int16 => "SMALLINT",
            Element::Int32 => "INT",
            Element::Int64 => "BIGINT",
            Element::UInt8 => "TINYINT UNSIGNED",
            Element::UInt16 => "SMALLINT UNSIGNED",
            Element::UInt32 => "INT UNSIGNED",
            Element::UInt64 => "BIGINT UNSIGNED",
            Element::Float16 => "FLOAT16",
            Element::BFloat16 | Element::Float32 => "FLOAT",
            Element::Float64 => "DOUBLE",
            Element::String => "TEXT",
        }
    }

    pub(crate) fn float(self) -> bool {
        matches!(self, Element::Float16 | Element::BFloat16 | Element::Float32 | Element::Float64)
    }

    pub(crate) fn size_bytes(self) -> usize {
        match self {
            Element::Bool | Element::Int8 | Element::UInt8 => 1,
            Element::Int16 | Element::UInt16 | Element::Float16 | Element::BFloat16 => 2,
            Element::Int32 | Element::UInt32 | Element::Float32 => 4,
            Element::Int64 | Element::UInt64 | Element::Float64 => 8,
            Element::String => 64,
        }
    }

    /// Whether a value of this Arrow type may become such an element, row by row at least.
    pub(crate) fn takes(self, data_type: &DataType) -> bool {
        use DataType::*;
        match data_type {
            Null => true,
            Dictionary(_, values) => self.takes(values),
            Utf8 | LargeUtf8 | Utf8View => self == Element::String,
            Boolean => self != Element::String,
            Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float16 | Float32 | Float64
            | Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => {
                !matches!(self, Element::String | Element::Bool)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(element: Element, shape: &[i64]) -> Port {
        Port { name: "x".into(), element, shape: shape.to_vec(), map_key: None }
    }

    #[test]
    fn shapes_become_types() {
        assert_eq!(port(Element::Float32, &[-1]).data_type(), DataType::Float32);
        assert_eq!(port(Element::Int64, &[-1, 1]).data_type(), DataType::Int64);
        let vector = DataType::new_list(DataType::Float32, true);
        assert_eq!(port(Element::Float32, &[-1, 3]).data_type(), vector);
        assert_eq!(port(Element::Float32, &[-1, 2, 3]).data_type(), DataType::new_list(vector, true));
        assert_eq!(port(Element::Float32, &[-1, 30]).sql_type(), "FLOAT[30]");
        assert_eq!(port(Element::Float32, &[-1, -1]).sql_type(), "FLOAT[]");
        assert_eq!(port(Element::Float32, &[-1, 2, 3]).row_width(), Some(6));
        assert_eq!(port(Element::Float32, &[-1, -1]).row_width(), None);
        assert_eq!(port(Element::Float32, &[-1, i64::MAX, i64::MAX]).row_width(), None);
        assert_eq!(port(Element::Float32, &[8, 2]).fixed_rows(), Some(8));
    }

    #[test]
    fn elements_take_what_casts_safely() {
        assert!(Element::Float32.takes(&DataType::Float64));
        assert!(Element::Int64.takes(&DataType::Float64));
        assert!(!Element::Float32.takes(&DataType::Utf8));
        assert!(!Element::Bool.takes(&DataType::Int64));
        assert!(!Element::String.takes(&DataType::Int64));
        assert!(Element::String.takes(&DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())));
    }
}
