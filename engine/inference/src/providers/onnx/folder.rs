//! Reading a model's files: one .onnx file, or a folder as sentence-transformers or Hugging Face write it.

use std::path::{Path, PathBuf};

use ort::session::Session;
use serde_json::Value;

use super::{external, inspect, runtime::Runtime, session, text_folder::text_spec};
use crate::{
    error::{Error, Result},
    options::ModelOptions,
    spec::{Kind, ModelSpec, TextSpec},
};

const GRAPHS: [&str; 2] = ["model.onnx", "onnx/model.onnx"];
/// Copied with the model where they exist, for they change what it answers.
const SETTINGS: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
];

/// The graph of a model at `path`, which is a folder with the model's files or the graph itself.
pub(crate) fn graph_path(path: &Path, spec: &ModelSpec) -> PathBuf {
    if path.is_dir() { path.join(&spec.graph) } else { path.into() }
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    if path.is_dir() { path } else { path.parent().unwrap_or(path) }
}

/// See `Runtime::inspect`.
pub(crate) fn inspect(runtime: &Runtime, path: &Path, options: &ModelOptions) -> Result<ModelSpec> {
    if !path.exists() {
        return Err(Error::ModelMissing { path: path.into(), reason: "there is no such file or folder".into() });
    }
    let graph = if path.is_dir() { find_graph(path)? } else { file_name(path) };
    let folder = folder_of(path);
    let mut files = vec![graph.clone()];
    let beside = Path::new(&graph).parent().unwrap_or(Path::new(""));
    for name in external::files(&folder.join(&graph))? {
        files.push(relative(&beside.join(name)));
    }
    let mut session = session::peek(runtime.environment(), &folder.join(&graph))?;
    let tokens = session.inputs().iter().any(|input| input.name() == "input_ids");
    let mut spec = match tokens && path.is_dir() {
        true => text_spec(&mut session, folder, options)?,
        false => graph_spec(&mut session, path, options)?,
    };
    if spec.kind != Kind::Graph {
        files.extend(SETTINGS.iter().filter(|name| folder.join(name).is_file()).map(|name| name.to_string()));
        files.extend(spec.files.iter().filter(|name| folder.join(name).is_file()).cloned());
    }
    spec.graph = graph;
    spec.size_bytes = size_of(folder, &files)?;
    spec.files = files;
    Ok(spec)
}

fn graph_spec(session: &mut Session, path: &Path, options: &ModelOptions) -> Result<ModelSpec> {
    for (name, given) in [
        ("max_length", options.max_length.is_some()),
        ("pooling", options.pooling.is_some()),
        ("normalize", options.normalize.is_some()),
        ("batch_tokens", options.batch_tokens.is_some()),
    ] {
        if given {
            return Err(not_applicable(name, "text models"));
        }
    }
    let graph = inspect::graph(session, path, options)?;
    Ok(ModelSpec {
        kind: Kind::Graph,
        task: "tabular".into(),
        inputs: graph.inputs,
        outputs: graph.outputs,
        tokenizer: None,
        pooling: None,
        normalize: false,
        dimension: None,
        max_length: None,
        labels: Vec::new(),
        size_bytes: 0,
        files: Vec::new(),
        features: graph.features,
        graph: String::new(),
        text: TextSpec::default(),
    })
}

pub(crate) fn not_applicable(option: &str, to: &str) -> Error {
    Error::OptionInvalid { option: option.into(), value: String::new(), reason: format!("it applies to {to}") }
}

fn find_graph(folder: &Path) -> Result<String> {
    let known = GRAPHS.iter().find(|name| folder.join(name).is_file()).map(|name| name.to_string());
    if let Some(graph) = known {
        return Ok(graph);
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let graphs: Vec<String> = entries
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "onnx"))
        .map(|entry| file_name(&entry.path()))
        .collect();
    match graphs.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(Error::ModelMissing {
            path: folder.into(),
            reason: "the folder has neither model.onnx, nor onnx/model.onnx, nor exactly one .onnx file".into(),
        }),
    }
}

/// A JSON file of the folder; `Null` where it is absent.
pub(crate) fn json(folder: &Path, name: &str) -> Result<Value> {
    let invalid = |reason: String| Error::ModelInvalid { path: folder.into(), reason };
    if Path::new(name).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
        return Err(invalid(format!("\"{name}\" lies outside its folder")));
    }
    match std::fs::read(folder.join(name)) {
        Err(_) => Ok(Value::Null),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| invalid(format!("{name}: {error}"))),
    }
}

fn size_of(folder: &Path, files: &[String]) -> Result<u64> {
    let mut total = 0u64;
    for name in files {
        let path = folder.join(name);
        let metadata = std::fs::metadata(&path)
            .map_err(|error| Error::ModelMissing { path: path.clone(), reason: error.to_string() })?;
        total = total.saturating_add(metadata.len());
    }
    Ok(total)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn relative(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}
