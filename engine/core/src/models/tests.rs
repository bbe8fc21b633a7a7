//! Models over a data directory, with ONNX Runtime: what an import leaves, shares and takes away.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvia_inference::InferOptions;
use alluvia_lake::Lake;
use alluvia_udfs::ModelPort;
use arrow::array::{ArrayRef, AsArray, Float32Array};
use arrow::datatypes::{DataType, Float32Type};
use tempfile::TempDir;

use super::*;

async fn open(folder: &TempDir) -> Models {
    let catalog = Arc::new(Catalog::open(folder.path()).await.unwrap());
    catalog.sweep(&Lake::new()).await.unwrap();
    Models::new(catalog, folder.path(), None, vec![])
}

/// A message of protocol buffers: fields by number, each bytes or a number.
fn message(fields: &[(u8, Field<'_>)]) -> Vec<u8> {
    let mut bytes = vec![];
    for (number, field) in fields {
        match field {
            Field::Number(value) => bytes.extend([number << 3, *value]),
            Field::Bytes(value) => {
                bytes.extend([number << 3 | 2, u8::try_from(value.len()).unwrap()]);
                bytes.extend(*value);
            }
        }
    }
    bytes
}

enum Field<'a> {
    Number(u8),
    Bytes(&'a [u8]),
}

/// An ONNX graph of one operator from `x FLOAT[N]` to `y FLOAT[N]`.
fn graph(operator: &str) -> Vec<u8> {
    use Field::{Bytes, Number};
    let node = message(&[(1, Bytes(b"x")), (2, Bytes(b"y")), (4, Bytes(operator.as_bytes()))]);
    let shape = message(&[(1, Bytes(&message(&[(2, Bytes(b"N"))])))]);
    let float = message(&[(1, Bytes(&message(&[(1, Number(1)), (2, Bytes(&shape))])))]);
    let port = |name: &[u8]| message(&[(1, Bytes(name)), (2, Bytes(&float))]);
    let graph = message(&[(1, Bytes(&node)), (2, Bytes(b"g")), (11, Bytes(&port(b"x"))), (12, Bytes(&port(b"y")))]);
    message(&[(1, Number(8)), (8, Bytes(&message(&[(1, Bytes(b"")), (2, Number(17))]))), (7, Bytes(&graph))])
}

fn write_graph(folder: &TempDir, operator: &str) -> PathBuf {
    let path = folder.path().join(format!("{operator}.onnx"));
    fs::write(&path, graph(operator)).unwrap();
    path
}

async fn create(models: &Models, name: &str, source: &Path, replace: bool) -> Result<Arc<ModelEntry>> {
    models.create(name, source, &BTreeMap::new(), replace, "ada").await
}

async fn run(models: &Models, name: &str, value: f32) -> f32 {
    let model = models.open(&models.entry(name).unwrap()).await.unwrap();
    let request: ArrayRef = Arc::new(Float32Array::from(vec![value]));
    let options = InferOptions { fail_on_error: true, ..InferOptions::default() };
    model.infer(request, &options).await.unwrap().values.as_primitive::<Float32Type>().value(0)
}

/// Folders of the store.
fn stored(folder: &TempDir) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.path().join("models")) else { return vec![] };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_model_is_imported_opened_and_kept_over_a_restart() {
    let (folder, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let models = open(&folder).await;
    let entry = create(&models, "negate", &write_graph(&source, "Neg"), false).await.unwrap();
    assert_eq!(stored(&folder), [entry.sha256.as_str()]);
    assert_eq!(entry.sha256, digest::of_file(&source.path().join("Neg.onnx")).unwrap());
    assert_eq!(models.output_type("negate").unwrap(), DataType::Float32);
    assert_eq!(models.residence(&entry).unwrap().device, "cpu");
    assert_eq!(run(&models, "negate", 2.0).await, -2.0);
    drop(models);
    drop(source);
    let models = open(&folder).await;
    assert_eq!(models.residence(&entry), None);
    assert_eq!(run(&models, "negate", 3.0).await, -3.0);
}

#[tokio::test]
async fn a_model_that_cannot_run_leaves_nothing() {
    let (folder, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let models = open(&folder).await;
    let whole = graph("Neg");
    let path = source.path().join("broken.onnx");
    for bytes in [&whole[..whole.len() / 2], b"", b"not a model", &graph("NoSuchOperator")] {
        fs::write(&path, bytes).unwrap();
        let error = create(&models, "broken", &path, false).await.unwrap_err();
        assert!(matches!(error.kind, Kind::ModelInvalid | Kind::FeatureNotSupported), "{error}");
        assert!(!error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }
    assert_eq!(
        kind_of(create(&models, "broken", &source.path().join("absent.onnx"), false).await),
        Kind::UndefinedFile
    );
    let unknown = BTreeMap::from([("devise".to_owned(), "cpu".to_owned())]);
    let refused = models.create("broken", &path, &unknown, false, "ada").await;
    assert_eq!(kind_of(refused), Kind::InvalidParameterValue);
    assert!(stored(&folder).is_empty());
    assert!(models.catalog.snapshot().models.is_empty());
}

#[tokio::test]
async fn a_device_is_taken_or_refused() {
    let (folder, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let models = open(&folder).await;
    let path = write_graph(&source, "Neg");
    let on = |device: &str| BTreeMap::from([("device".to_owned(), device.to_owned())]);
    let entry = models.create("taken", &path, &on("auto"), false, "ada").await.unwrap();
    assert_ne!(models.residence(&entry).unwrap().device, "auto");
    models.remove("taken", false).await.unwrap();
    // No machine has this one.
    let refused = models.create("refused", &path, &on("cuda:99"), false, "ada").await;
    assert_eq!(kind_of(refused), Kind::DeviceUnavailable);
    assert!(stored(&folder).is_empty());
}

fn kind_of<T>(result: Result<T>) -> Kind {
    result.err().map(|error| error.kind).unwrap()
}

#[tokio::test]
async fn names_share_files_and_the_last_one_takes_them_along() {
    let (folder, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let models = open(&folder).await;
    let (negate, absolute) = (write_graph(&source, "Neg"), write_graph(&source, "Abs"));
    let first = create(&models, "a", &negate, false).await.unwrap();
    create(&models, "b", &negate, false).await.unwrap();
    assert_eq!(stored(&folder), [first.sha256.as_str()]);
    assert_eq!(kind_of(create(&models, "a", &absolute, false).await), Kind::DuplicateObject);
    assert_eq!(stored(&folder), [first.sha256.as_str()]);

    let replaced = create(&models, "a", &absolute, true).await.unwrap();
    assert_eq!((replaced.oid, stored(&folder).len()), (first.oid, 2));
    assert_eq!((run(&models, "a", -1.5).await, run(&models, "b", 1.5).await), (1.5, -1.5));
    assert!(models.remove("b", false).await.unwrap());
    assert_eq!(stored(&folder), [replaced.sha256.as_str()]);
    create(&models, "a", &negate, true).await.unwrap();
    assert_eq!(stored(&folder), [first.sha256.as_str()]);
    assert!(models.remove("a", false).await.unwrap());
    assert!(stored(&folder).is_empty());
    assert!(!models.remove("a", true).await.unwrap());
    assert_eq!(kind_of(models.remove("a", false).await), Kind::UndefinedObject);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_imports_exactly_one_wins() {
    let (folder, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let models = Arc::new(open(&folder).await);
    let path = write_graph(&source, "Neg");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (models, path) = (Arc::clone(&models), path.clone());
            tokio::spawn(async move { create(&models, "m", &path, false).await })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => winners += 1,
            Err(error) => assert_eq!(error.kind, Kind::DuplicateObject),
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(run(&models, "m", 1.0).await, -1.0);
    assert_eq!(stored(&folder).len(), 1);
}

#[tokio::test]
async fn changed_files_are_found_before_they_run() {
    let (folder, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let models = open(&folder).await;
    let entry = create(&models, "m", &write_graph(&source, "Sqrt"), false).await.unwrap();
    drop(models);
    let stored = folder.path().join("models").join(&entry.sha256).join("Sqrt.onnx");
    fs::write(&stored, graph("Abs")).unwrap();
    let models = open(&folder).await;
    assert_eq!(kind_of(models.open(&entry).await), Kind::ModelInvalid);
    fs::remove_file(&stored).unwrap();
    assert_eq!(kind_of(models.open(&entry).await), Kind::ModelMissing);
}

#[tokio::test]
async fn the_default_embedding_model_registers_itself_once() {
    let folder = tempfile::tempdir().unwrap();
    let models = open(&folder).await;
    let error = models.entry(models.default_embedding()).unwrap_err();
    assert!(error.hint.unwrap().contains("make setup"));
    let (one, two) = tokio::join!(models.ensure_default(), models.ensure_default());
    one.unwrap();
    two.unwrap();
    let entry = models.entry(models.default_embedding()).unwrap();
    assert_eq!((entry.spec.dimension, entry.owner.as_str()), (Some(384), "system"));
    assert_eq!(models.output_type(models.default_embedding()).unwrap(), DataType::new_list(DataType::Float32, true));
}

#[tokio::test]
async fn a_missing_default_says_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Arc::new(Catalog::open(folder.path()).await.unwrap());
    let models = Models::new(catalog, folder.path(), None, vec![PathBuf::from("no/such/folder")]);
    let error = models.ensure_default().await.unwrap_err();
    assert_eq!(error.kind, Kind::ModelMissing);
    assert!(error.hint.unwrap().contains("make setup"));
}

#[test]
fn near_names_are_near() {
    let names = ["churn", "churn_v2", "fraud", "Ticket"].map(str::to_owned);
    assert_eq!(near_names("chrun", names.iter()), ["\"churn\""]);
    assert_eq!(near_names("ticket", names.iter()), ["\"Ticket\""]);
    assert_eq!(near_names("churn_v3", names.iter()), ["\"churn_v2\"", "\"churn\""]);
    assert!(near_names("x", names.iter()).is_empty());
}
