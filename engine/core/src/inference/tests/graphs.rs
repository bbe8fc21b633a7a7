//! ONNX graphs of one or two nodes, in protobuf's wire format. Field numbers are those of onnx.proto3.

const FLOAT: u64 = 1;
const STRING: u64 = 8;

pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("double", model(&[("x", FLOAT)], node("Add", &["x", "x"], None))),
        ("negative", model(&[("x", FLOAT)], node("Neg", &["x"], None))),
        ("add", model(&[("a", FLOAT), ("b", FLOAT)], node("Add", &["a", "b"], None))),
        ("parse", model(&[("word", STRING)], node("Cast", &["word"], Some(("to", FLOAT))))),
    ]
}

/// A graph over columns of `N` rows, with one output `y` of `N` numbers.
fn model(inputs: &[(&str, u64)], node: Vec<u8>) -> Vec<u8> {
    let mut graph = [field(1, &node), field(2, b"graph")].concat();
    for (name, element) in inputs {
        graph.extend(field(11, &value_info(name, *element)));
    }
    graph.extend(field(12, &value_info("y", FLOAT)));
    let opset = number(2, 13);
    [number(1, 8), field(7, &graph), field(8, &opset)].concat()
}

fn node(operator: &str, inputs: &[&str], attribute: Option<(&str, u64)>) -> Vec<u8> {
    let mut bytes: Vec<u8> = inputs.iter().flat_map(|input| field(1, input.as_bytes())).collect();
    bytes.extend(field(2, b"y"));
    bytes.extend(field(4, operator.as_bytes()));
    if let Some((name, value)) = attribute {
        const INT: u64 = 2;
        bytes.extend(field(5, &[field(1, name.as_bytes()), number(3, value), number(20, INT)].concat()));
    }
    bytes
}

fn value_info(name: &str, element: u64) -> Vec<u8> {
    let shape = field(1, &field(2, b"N"));
    let tensor = [number(1, element), field(2, &shape)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = varint(number << 3 | 2);
    out.extend(varint(bytes.len() as u64));
    out.extend(bytes);
    out
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = vec![];
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}
