//! Which field of a request feeds which input of a model: matched by name at planning time, by position never.

use arrow::datatypes::{DataType, Fields};

use crate::{
    error::{Error, Result},
    spec::{Kind, ModelSpec, Port},
};

/// For each input of the model, in the model's order, where its values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub sources: Vec<Source>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The request itself is the value.
    Whole,
    /// One field of the request's STRUCT.
    Field(usize),
    /// One field for each column of the input.
    Fields(Vec<usize>),
}

impl Binding {
    pub(crate) fn new(spec: &ModelSpec, request: &DataType) -> Result<Binding> {
        match request {
            DataType::Struct(fields) if spec.kind == Kind::Graph => of_graph(spec, fields),
            DataType::Struct(fields) => of_text(spec, fields),
            other => of_value(spec, other),
        }
    }
}

/// A request that is no STRUCT feeds a model of one input.
fn of_value(spec: &ModelSpec, request: &DataType) -> Result<Binding> {
    match spec.inputs.as_slice() {
        [port] => {
            check_type(port, request)?;
            Ok(Binding { sources: vec![Source::Whole] })
        }
        _ => {
            let missing = spec.inputs.iter().map(|port| port.name.clone()).collect();
            let hint = "Name the inputs: named_struct('name', value, ...).".to_string();
            Err(fields_error(spec, "one value without a name".into(), missing, Vec::new(), Some(hint)))
        }
    }
}

/// A text model takes a STRUCT of exactly one field, whatever its name.
fn of_text(spec: &ModelSpec, fields: &Fields) -> Result<Binding> {
    let (Some(port), [field]) = (spec.inputs.first(), fields.as_ref()) else {
        let has = fields.iter().map(|field| field.name().clone()).collect::<Vec<_>>().join(", ");
        return Err(fields_error(spec, has, Vec::new(), Vec::new(), None));
    };
    check_type(port, field.data_type())?;
    Ok(Binding { sources: vec![Source::Field(0)] })
}

fn of_graph(spec: &ModelSpec, fields: &Fields) -> Result<Binding> {
    let mut used = vec![false; fields.len()];
    let mut missing = Vec::new();
    let mut sources = Vec::with_capacity(spec.inputs.len());
    let mut claim = |name: &str| {
        let index = find(fields, name)?;
        if let Some(slot) = used.get_mut(index) {
            *slot = true;
        }
        Some(index)
    };
    for port in &spec.inputs {
        if let Some(index) = claim(&port.name) {
            sources.push(Source::Field(index));
            continue;
        }
        let Some(features) = spec.features.as_ref().filter(|_| port.is_wide()) else {
            missing.push(port.name.clone());
            continue;
        };
        let mut columns = Vec::with_capacity(features.len());
        for feature in features {
            match claim(feature) {
                Some(index) => columns.push(index),
                None => missing.push(feature.clone()),
            }
        }
        sources.push(Source::Fields(columns));
    }
    let unused = fields.iter().zip(&used).filter(|(_, used)| !**used);
    let surplus: Vec<String> = unused.map(|(field, _)| field.name().clone()).collect();
    if !missing.is_empty() || !surplus.is_empty() {
        let has = fields.iter().map(|field| field.name().clone()).collect::<Vec<_>>().join(", ");
        return Err(fields_error(spec, has, missing, surplus, wide_hint(spec)));
    }
    check_sources(spec, fields, &sources)?;
    Ok(Binding { sources })
}

fn check_sources(spec: &ModelSpec, fields: &Fields, sources: &[Source]) -> Result<()> {
    for (port, source) in spec.inputs.iter().zip(sources) {
        match source {
            Source::Whole => {}
            Source::Field(index) => {
                if let Some(field) = fields.get(*index) {
                    check_type(port, field.data_type())?;
                }
            }
            Source::Fields(columns) => {
                for field in columns.iter().filter_map(|&index| fields.get(index)) {
                    if !port.element.takes(field.data_type()) {
                        return Err(type_error(field.name(), port.element.sql_name().into(), field.data_type()));
                    }
                }
            }
        }
    }
    Ok(())
}

impl Port {
    /// Whether one row holds several values, or may.
    pub(crate) fn is_wide(&self) -> bool {
        !self.row_shape().is_empty()
    }
}

fn check_type(port: &Port, data_type: &DataType) -> Result<()> {
    let mut leaf = data_type;
    let mut depth = 0;
    while let Some(item) = list_item(leaf) {
        leaf = item;
        depth += 1;
    }
    let depth_fits = match port.row_shape().len() {
        // A tensor of shape [N, 1] reads a list of one value as well as the value.
        0 => depth == 0 || (depth == 1 && port.shape.len() == 2),
        // A list, flat or as deep as the tensor. One value alone does where the width turns out to be 1.
        rank => depth == 1 || depth == rank || (depth == 0 && *data_type == DataType::Null),
    };
    if depth_fits && port.element.takes(leaf) {
        return Ok(());
    }
    Err(type_error(&port.name, port.sql_type(), data_type))
}

pub(crate) fn list_item(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item.data_type()),
        _ => None,
    }
}

/// The exact name first; without regard to case only where that finds exactly one.
fn find(fields: &Fields, name: &str) -> Option<usize> {
    if let Some(index) = fields.iter().position(|field| field.name() == name) {
        return Some(index);
    }
    let mut matches = fields.iter().enumerate().filter(|(_, field)| field.name().eq_ignore_ascii_case(name));
    match (matches.next(), matches.next()) {
        (Some((index, _)), None) => Some(index),
        _ => None,
    }
}

fn wide_hint(spec: &ModelSpec) -> Option<String> {
    let wide = spec.inputs.iter().find(|port| port.is_wide()).filter(|_| spec.features.is_none())?;
    Some(format!(
        "Give \"{}\" as one array, or name its columns: CREATE MODEL ... WITH (features = 'a, b, ...').",
        wide.name
    ))
}

fn fields_error(
    spec: &ModelSpec,
    has: String,
    missing: Vec<String>,
    surplus: Vec<String>,
    hint: Option<String>,
) -> Error {
    let takes = spec.inputs.iter().flat_map(|port| match spec.features.as_ref().filter(|_| port.is_wide()) {
        Some(features) => {
            features.iter().map(|feature| format!("{feature} {}", port.element.sql_name())).collect::<Vec<_>>()
        }
        None => vec![format!("{} {}", port.name, port.sql_type())],
    });
    Error::RequestFields { takes: takes.collect::<Vec<_>>().join(", "), has, missing, surplus, hint }
}

fn type_error(input: &str, takes: String, has: &DataType) -> Error {
    Error::RequestType { input: input.into(), takes, has: has.to_string() }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;
    use crate::{Element, spec::TextSpec};

    fn spec(kind: Kind, inputs: &[(&str, Element, &[i64])], features: Option<&[&str]>) -> ModelSpec {
        let port = |&(name, element, shape): &(&str, Element, &[i64])| Port {
            name: name.into(),
            element,
            shape: shape.to_vec(),
            map_key: None,
        };
        ModelSpec {
            kind,
            task: "tabular".into(),
            inputs: inputs.iter().map(port).collect(),
            outputs: Vec::new(),
            tokenizer: None,
            pooling: None,
            normalize: false,
            dimension: None,
            max_length: None,
            labels: Vec::new(),
            size_bytes: 0,
            files: Vec::new(),
            features: features.map(|names| names.iter().map(|name| name.to_string()).collect()),
            graph: String::new(),
            text: TextSpec::default(),
        }
    }

    fn request(fields: &[(&str, DataType)]) -> DataType {
        DataType::Struct(
            fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect::<Fields>(),
        )
    }

    #[test]
    fn fields_are_matched_by_name() {
        let spec = spec(Kind::Graph, &[("a", Element::Float32, &[-1, 1]), ("b", Element::String, &[-1, 1])], None);
        let binding = spec.bind(&request(&[("B", DataType::Utf8), ("a", DataType::Float64)])).unwrap();
        assert_eq!(binding.sources, [Source::Field(1), Source::Field(0)]);
        let error = spec.bind(&request(&[("a", DataType::Float64), ("c", DataType::Utf8)])).unwrap_err();
        assert_eq!(
            error.detail().unwrap(),
            "The model takes: a FLOAT, b TEXT; the request has: a, c. Missing: b. Not an input: c."
        );
        let error = spec.bind(&request(&[("a", DataType::Utf8), ("b", DataType::Utf8)])).unwrap_err();
        assert_eq!(error.to_string(), "input \"a\" of the model takes FLOAT, not Utf8");
        assert!(matches!(spec.bind(&DataType::Float64), Err(Error::RequestFields { .. })));
    }

    #[test]
    fn case_matters_where_it_must() {
        let spec = spec(Kind::Graph, &[("x", Element::Float32, &[-1]), ("X", Element::Float32, &[-1])], None);
        let binding = spec.bind(&request(&[("X", DataType::Int32), ("x", DataType::Int32)])).unwrap();
        assert_eq!(binding.sources, [Source::Field(1), Source::Field(0)]);
    }

    #[test]
    fn a_wide_input_takes_a_list_or_named_columns() {
        let inputs: &[(&str, Element, &[i64])] = &[("input", Element::Float32, &[-1, 2])];
        let list = DataType::new_list(DataType::Float64, true);
        let plain = spec(Kind::Graph, inputs, None);
        assert_eq!(plain.bind(&list).unwrap().sources, [Source::Whole]);
        assert_eq!(plain.bind(&request(&[("input", list.clone())])).unwrap().sources, [Source::Field(0)]);
        let error = plain.bind(&request(&[("a", DataType::Float64), ("b", DataType::Float64)])).unwrap_err();
        assert!(error.hint().unwrap().contains("features"));
        let named = spec(Kind::Graph, inputs, Some(&["a", "b"]));
        let columns = named.bind(&request(&[("b", DataType::Float64), ("a", DataType::Int64)])).unwrap();
        assert_eq!(columns.sources, [Source::Fields(vec![1, 0])]);
        assert_eq!(named.bind(&list).unwrap().sources, [Source::Whole]);
    }

    #[test]
    fn text_models_take_text() {
        let spec = spec(Kind::Encoder, &[("text", Element::String, &[-1])], None);
        assert_eq!(spec.bind(&DataType::Utf8View).unwrap().sources, [Source::Whole]);
        assert_eq!(spec.bind(&request(&[("body", DataType::Utf8)])).unwrap().sources, [Source::Field(0)]);
        assert!(matches!(spec.bind(&DataType::Int64), Err(Error::RequestType { .. })));
        let two = request(&[("a", DataType::Utf8), ("b", DataType::Utf8)]);
        assert!(matches!(spec.bind(&two), Err(Error::RequestFields { .. })));
    }
}
