//! Tests over real graphs: the small ones of `tests/data/models` and the embedding model that `make setup` fetches.

/// Requests over columns.
mod columns;
/// Requests of text.
mod texts;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{
    array::*,
    buffer::NullBuffer,
    datatypes::{DataType, Field, Fields, Float16Type, Float32Type, Float64Type, Int32Type},
};

use crate::{
    Device, Error, ErrorClass, InferOptions, Inferred, Kind, Model, ModelOptions, ModelSpec, Pooling, Result, Runtime,
};

const FAIL: InferOptions = InferOptions { fail_on_error: true, query_id: 1 };
const KEEP: InferOptions = InferOptions { fail_on_error: false, query_id: 1 };

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn runtime() -> Arc<Runtime> {
    let default = workspace().join(".setup/onnxruntime").join(if cfg!(target_os = "macos") {
        "libonnxruntime.dylib"
    } else {
        "libonnxruntime.so"
    });
    let library = std::env::var_os("ALLUVIA_ONNXRUNTIME").map_or(default, PathBuf::from);
    Runtime::load(&library).unwrap_or_else(|error| panic!("{error}: {:?} {:?}", error.detail(), error.hint()))
}

fn data(name: &str) -> PathBuf {
    workspace().join("tests/data/models").join(name)
}

fn minilm() -> PathBuf {
    workspace().join(".setup/models/all-MiniLM-L6-v2")
}

fn options(pairs: &[(&str, &str)]) -> ModelOptions {
    let pairs: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    ModelOptions::parse(&pairs).unwrap()
}

fn inspect(name: &str, pairs: &[(&str, &str)]) -> Result<ModelSpec> {
    runtime().inspect(&data(name), &options(pairs))
}

fn open_at(path: &Path, pairs: &[(&str, &str)]) -> Arc<Model> {
    let options = options(pairs);
    let spec = runtime().inspect(path, &options).unwrap();
    runtime().open(path, &spec, &path.display().to_string(), &options).unwrap()
}

fn open(name: &str, pairs: &[(&str, &str)]) -> Arc<Model> {
    open_at(&data(name), pairs)
}

fn fields(columns: Vec<(&str, ArrayRef)>, nulls: Option<Vec<bool>>) -> ArrayRef {
    let names: Fields =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Arc::new(StructArray::new(names, columns, nulls.map(NullBuffer::from)))
}

fn f32s(values: Vec<Option<f32>>) -> ArrayRef {
    Arc::new(Float32Array::from(values))
}

fn bits(values: &ArrayRef) -> Vec<Vec<u32>> {
    let list = values.as_list::<i32>();
    list.iter()
        .map(|row| {
            row.map_or(vec![], |row| row.as_primitive::<Float32Type>().values().iter().map(|v| v.to_bits()).collect())
        })
        .collect()
}

fn expected() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(data("expected.json")).unwrap()).unwrap()
}

fn matrix(value: &serde_json::Value) -> Vec<Vec<f32>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn vectors(rows: &[Vec<f32>]) -> ArrayRef {
    let rows = rows.iter().map(|row| Some(row.iter().map(|value| Some(f64::from(*value))).collect::<Vec<_>>()));
    Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
}

#[test]
fn a_missing_library_names_the_command() {
    let error = Runtime::load(Path::new("nowhere/libonnxruntime.so")).unwrap_err();
    assert!(matches!(error, Error::RuntimeMissing { .. }));
    assert!(error.hint().unwrap().contains("make setup"));
    let error = Runtime::load(&workspace().join("Cargo.toml")).unwrap_err();
    assert!(matches!(error, Error::RuntimeMissing { .. } | Error::RuntimeLoaded { .. }), "{error:?}");
    let runtime = runtime();
    assert!(runtime.version().starts_with("1."), "{}", runtime.version());
    assert!(runtime.devices().iter().any(|device| device.name == "cpu"));
}

#[test]
fn graphs_tell_their_types() {
    let spec = inspect("add.onnx", &[]).unwrap();
    assert_eq!((spec.kind, spec.task.as_str(), spec.files.clone()), (Kind::Graph, "tabular", vec!["add.onnx".into()]));
    assert_eq!(spec.output_type(), DataType::Float32);
    let spec = inspect("echo.onnx", &[("outputs", "word_out,f64_out")]).unwrap();
    let names: Vec<_> = spec.outputs.iter().map(|port| (port.name.as_str(), port.sql_type())).collect();
    assert_eq!(names, [("word_out", "TEXT".to_string()), ("f64_out", "DOUBLE".to_string())]);
    let spec = inspect("wide.onnx", &[]).unwrap();
    assert_eq!(spec.features.as_deref().unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(inspect("unshaped.onnx", &[]).unwrap().output_type(), DataType::new_list(DataType::Float32, true));
    let spec = inspect("external", &[]).unwrap();
    assert_eq!(spec.files, ["model.onnx", "model.onnx_data"]);
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<ModelSpec>(&json).unwrap(), spec);
}

#[test]
fn wrong_models_are_refused() {
    assert!(matches!(inspect("absent.onnx", &[]), Err(Error::ModelMissing { .. })));
    assert!(matches!(inspect("scalar_output.onnx", &[]), Err(Error::UnsupportedModel { .. })));
    assert!(matches!(inspect("add.onnx", &[("features", "a,b")]), Err(Error::OptionInvalid { .. })));
    assert!(matches!(inspect("add.onnx", &[("pooling", "mean")]), Err(Error::OptionInvalid { .. })));
    assert!(matches!(inspect("wide.onnx", &[("features", "a,b")]), Err(Error::OptionInvalid { .. })));
    assert!(matches!(inspect("boosted.onnx", &[("outputs", "nothing")]), Err(Error::OptionInvalid { .. })));
    let whole = std::fs::read(data("boosted.onnx")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.onnx");
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = runtime().inspect(&path, &ModelOptions::default()).unwrap_err();
        assert!(matches!(error, Error::ModelInvalid { .. } | Error::UnsupportedModel { .. }), "{length}: {error:?}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_and_auto_says_what_it_took() {
    if runtime().devices().iter().any(|device| device.name.starts_with("cuda")) {
        return;
    }
    let spec = inspect("add.onnx", &[]).unwrap();
    let cuda = ModelOptions { device: Device::Cuda(0), ..ModelOptions::default() };
    let error = runtime().open(&data("add.onnx"), &spec, "cuda", &cuda).unwrap_err();
    assert!(matches!(error, Error::DeviceUnavailable { .. }), "{error:?}");
    let auto = ModelOptions { device: Device::Auto, ..ModelOptions::default() };
    assert_eq!(runtime().open(&data("add.onnx"), &spec, "auto", &auto).unwrap().device(), "cpu");
}

#[test]
fn an_open_model_is_shared() {
    let (first, second) = (open("add.onnx", &[]), open("add.onnx", &[]));
    assert!(Arc::ptr_eq(&first, &second));
    assert!(!Arc::ptr_eq(&first, &open("add.onnx", &[("batch_rows", "8")])));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_call_stops_its_run() {
    let model = open("slow.onnx", &[]);
    let request = vectors(&vec![vec![0.5; 96]; 100_000]);
    // The best of a few, for other tests use the same cores.
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let (worker, request) = (Arc::clone(&model), request.clone());
        let long = tokio::spawn(async move { worker.infer(request, &FAIL).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!long.is_finished(), "the request is too short to be interrupted");
        long.abort();
        let aborted = Instant::now();
        assert!(long.await.unwrap_err().is_cancelled());
        let other = InferOptions { query_id: 2, ..FAIL };
        model.infer(vectors(&[vec![0.5; 96]]), &other).await.unwrap();
        best = best.min(aborted.elapsed());
    }
    assert!(best < Duration::from_millis(200), "{best:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_take_turns() {
    let model = open("slow.onnx", &[("batch_rows", "256")]);
    let long = vectors(&vec![vec![0.5; 96]; 60_000]);
    let worker = Arc::clone(&model);
    let first = tokio::spawn(async move { worker.infer(long, &FAIL).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let other = InferOptions { query_id: 2, ..FAIL };
    let result = model.infer(vectors(&vec![vec![0.5; 96]; 512]), &other).await.unwrap();
    assert!(!first.is_finished(), "the short query waited for the whole long one");
    assert!(result.stats.queue_ms > 0.0);
    first.abort();
}

#[test]
fn idle_models_are_closed_when_memory_is_short() {
    let path = data("add.onnx");
    let (spec, options) = (inspect("add.onnx", &[]).unwrap(), ModelOptions::default());
    let used = runtime().open(&path, &spec, "used", &options).unwrap();
    let idle = Arc::downgrade(&runtime().open(&path, &spec, "idle", &options).unwrap());
    runtime().set_resident_bytes_max(0);
    assert!(idle.upgrade().is_none());
    assert!(Arc::ptr_eq(&used, &runtime().open(&path, &spec, "used", &options).unwrap()));
    runtime().set_resident_bytes_max(4 << 30);
}
