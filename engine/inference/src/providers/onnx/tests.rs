//! Tests over real graphs: the small ones of `tests/data/models` and the embedding model that `make setup` fetches.

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

#[tokio::test]
async fn columns_are_fed_by_name() {
    let model = open("add.onnx", &[]);
    let b: ArrayRef = Arc::new(Int32Array::from(vec![Some(10), Some(20), None, Some(40)]));
    let a: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5, 3.5]));
    let request = fields(vec![("B", b), ("a", a)], Some(vec![true, false, true, true]));
    let Inferred { values, stats, .. } = model.infer(request.clone(), &FAIL).await.unwrap();
    let values = values.as_primitive::<Float32Type>();
    assert_eq!((values.value(0), values.value(3)), (10.5, 43.5));
    assert!(values.is_null(1) && values.is_valid(2) && values.value(2).is_nan());
    assert_eq!((stats.runs, stats.errors), (1, 0));
    assert!(model.estimate_bytes(&request) > 16);
    let empty = model.infer(request.slice(0, 0), &FAIL).await.unwrap();
    assert_eq!((empty.values.len(), empty.values.data_type()), (0, &DataType::Float32));
    let nulls = model.infer(request.slice(1, 1), &FAIL).await.unwrap();
    assert_eq!((nulls.values.null_count(), nulls.stats.runs), (1, 0));
    let error = model.infer(Arc::new(Float64Array::from(vec![1.0])), &FAIL).await.unwrap_err();
    assert!(matches!(error, Error::RequestFields { .. }));
}

fn echo_request(rows: usize) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("f16", Arc::new(Float64Array::from(vec![1.5; rows])) as ArrayRef),
        ("f32", Arc::new(Decimal128Array::from(vec![125; rows]).with_precision_and_scale(10, 2).unwrap())),
        ("f64", Arc::new(Float32Array::from(vec![0.25; rows]))),
        ("i8", Arc::new(Int64Array::from(vec![-7; rows]))),
        ("i32", Arc::new(Float64Array::from(vec![12.0; rows]))),
        ("i64", Arc::new(UInt64Array::from(vec![9; rows]))),
        ("u8", Arc::new(Int32Array::from(vec![200; rows]))),
        ("flag", Arc::new(BooleanArray::from((0..rows).map(|row| row % 3 == 0).collect::<Vec<_>>()))),
        ("word", Arc::new(StringViewArray::from_iter_values((0..rows).map(|row| format!("wörd {row}"))))),
    ]
}

#[tokio::test]
async fn every_type_goes_in_and_out() {
    let model = open("echo.onnx", &[]);
    let result = model.infer(fields(echo_request(5), None), &FAIL).await.unwrap();
    let row = result.values.as_struct();
    assert_eq!(row.data_type(), &model.spec().output_type());
    assert_eq!(row.column(0).as_primitive::<Float16Type>().value(4).to_f32(), 1.5);
    assert_eq!(row.column(1).as_primitive::<Float32Type>().value(0), 1.25);
    assert_eq!(row.column(2).as_primitive::<Float64Type>().value(0), 0.25);
    assert_eq!(row.column(4).as_primitive::<Int32Type>().value(0), 12);
    assert_eq!(
        row.column_by_name("flag_out").unwrap().as_boolean().iter().flatten().collect::<Vec<_>>(),
        [true, false, false, true, false]
    );
    assert_eq!(row.column_by_name("word_out").unwrap().as_string::<i32>().value(4), "wörd 4");
}

#[tokio::test]
async fn values_that_do_not_fit_are_their_rows_errors() {
    let model = open("echo.onnx", &[]);
    let mut columns = echo_request(8);
    columns[1].1 = Arc::new(Float64Array::from(vec![1.0, 1e300, f64::INFINITY, 1.0, 1.0, 1.0, 1.0, 1.0]));
    columns[3].1 = Arc::new(Int64Array::from(vec![1, 1, 1, 300, 1, 1, 1, 1]));
    columns[4].1 = Arc::new(Float64Array::from(vec![1.0, 1.0, 1.0, 1.0, 1.5, f64::NAN, 1.0, 1.0]));
    columns[7].1 = Arc::new(BooleanArray::from(vec![
        Some(true),
        None,
        Some(true),
        Some(true),
        Some(true),
        Some(true),
        None,
        Some(true),
    ]));
    columns[8].1 = Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e", "f", "g", "h\0"]));
    let request = fields(columns, None);
    let result = model.infer(request.clone(), &KEEP).await.unwrap();
    let rows: Vec<usize> = result.errors.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, [1, 3, 4, 5, 6, 7]);
    assert!(result.errors.iter().all(|(_, error)| error.class == ErrorClass::InvalidRequest));
    assert_eq!(result.errors[1].1.message, "value 300 for input \"i8\" is out of range for TINYINT");
    assert_eq!(result.errors[2].1.message, "value 1.5 for input \"i32\" is not a whole number");
    assert_eq!(result.errors[4].1.message, "input \"flag\" is null");
    let valid: Vec<bool> = (0..8).map(|row| result.values.is_valid(row)).collect();
    assert_eq!(valid, [true, false, true, false, false, false, false, false]);
    let error = model.infer(request, &FAIL).await.unwrap_err();
    assert!(matches!(error, Error::RowFailed { row: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn wide_inputs_take_lists_and_named_columns() {
    let model = open("wide.onnx", &[]);
    let rows = [vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0, 7.0, 8.0]];
    let by_list = model.infer(vectors(&rows), &FAIL).await.unwrap().values;
    let column = |index: usize| -> ArrayRef {
        Arc::new(Float64Array::from(rows.iter().map(|row| f64::from(row[index])).collect::<Vec<_>>()))
    };
    let named = vec![("d", column(3)), ("A", column(0)), ("b", column(1)), ("c", column(2))];
    let by_name = model.infer(fields(named, None), &FAIL).await.unwrap().values;
    assert_eq!(&by_list, &by_name);
    let row = by_list.as_struct();
    assert_eq!(
        row.column(0).as_list::<i32>().value(1).as_primitive::<Float32Type>().values(),
        &[10.0, 12.0, 14.0, 16.0]
    );
    let inner = row.column(1).as_list::<i32>().value(0);
    assert_eq!(inner.as_list::<i32>().value(1).as_primitive::<Float32Type>().values(), &[3.0, 4.0]);
    for kind in [
        DataType::new_fixed_size_list(DataType::Float64, 4, true),
        DataType::new_large_list(DataType::Int32, true),
        DataType::ListView(Field::new_list_field(DataType::Float64, true).into()),
    ] {
        let request = arrow::compute::cast(&vectors(&rows), &kind).unwrap();
        assert_eq!(&model.infer(request, &FAIL).await.unwrap().values, &by_list, "{kind}");
    }
    let uneven: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
        Some(vec![Some(1.0); 3]),
        None,
        Some(vec![Some(1.0), None, Some(1.0), Some(1.0)]),
    ]));
    let result = model.infer(uneven, &KEEP).await.unwrap();
    assert_eq!(result.errors.len(), 1);
    assert_eq!(result.errors[0].1.message, "input \"x\" takes 4 values, not 3");
    assert!(result.values.is_null(0) && result.values.is_null(1) && result.values.is_valid(2));
}

#[tokio::test]
async fn an_open_width_takes_rows_of_any_width() {
    let model = open("open_width.onnx", &[]);
    let rows = [3usize, 1, 2, 3, 5, 1];
    let lists = rows.iter().map(|&width| Some(vec![Some(1f32); width]));
    let request: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(lists));
    let result = model.infer(request, &FAIL).await.unwrap();
    assert_eq!(result.values.as_primitive::<Float32Type>().values(), &[3.0, 1.0, 2.0, 3.0, 5.0, 1.0]);
    assert_eq!(result.stats.runs, 4);
}

#[tokio::test]
async fn a_fixed_batch_is_filled_up() {
    let model = open("fixed_batch.onnx", &[]);
    let result = model.infer(f32s((0..10).map(|row| Some(row as f32)).collect()), &FAIL).await.unwrap();
    let wanted: Vec<f32> = (0..10).map(|row| -(row as f32)).collect();
    assert_eq!(result.values.as_primitive::<Float32Type>().values(), &wanted[..]);
    assert_eq!(result.stats.runs, 3);
}

#[tokio::test]
async fn one_bad_row_spoils_no_other() {
    let model = open("table.onnx", &[]);
    let rows: Vec<i64> = (0..1000).map(|row| if row % 333 == 5 { 77 } else { row % 10 }).collect();
    let request: ArrayRef = Arc::new(Int64Array::from(rows.clone()));
    let result = model.infer(request.clone(), &KEEP).await.unwrap();
    let bad: Vec<usize> = result.errors.iter().map(|(row, _)| *row).collect();
    assert_eq!(bad, [5, 338, 671]);
    assert!(result.errors.iter().all(|(_, error)| error.class == ErrorClass::Runtime), "{:?}", result.errors);
    let values = result.values.as_primitive::<Float32Type>();
    for (row, &index) in rows.iter().enumerate() {
        assert_eq!(values.is_null(row), bad.contains(&row));
        assert!(values.is_null(row) || values.value(row) == index as f32 * 1.5);
    }
    assert!(matches!(model.infer(request, &FAIL).await, Err(Error::RunFailed { .. })));
    let hopeless: ArrayRef = Arc::new(Int64Array::from(vec![77; 5000]));
    let result = model.infer(hopeless, &KEEP).await.unwrap();
    assert_eq!((result.errors.len(), result.values.null_count()), (5000, 5000));
    assert!(result.stats.runs < 2000, "{}", result.stats.runs);
}

#[tokio::test]
async fn the_same_row_has_the_same_bits_in_any_batch() {
    let mut seed = 7u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / 8e6 - 1.0
    };
    let rows: Vec<Vec<f32>> = (0..300).map(|_| (0..37).map(|_| random()).collect()).collect();
    let reference = bits(&open("perceptron.onnx", &[]).infer(vectors(&rows), &FAIL).await.unwrap().values);
    let backwards: Vec<Vec<f32>> = rows.iter().rev().cloned().collect();
    for size in ["1", "2", "3", "5", "16", "33", "64", "299"] {
        let model = open("perceptron.onnx", &[("batch_rows", size)]);
        assert_eq!(bits(&model.infer(vectors(&rows), &FAIL).await.unwrap().values), reference, "{size}");
        let mut found = bits(&model.infer(vectors(&backwards), &FAIL).await.unwrap().values);
        found.reverse();
        assert_eq!(found, reference, "{size} backwards");
    }
}

#[tokio::test]
async fn classifiers_agree_with_onnx_runtime_in_python() {
    let expected = expected();
    let request = vectors(&matrix(&expected["boosted"]["features"]));
    let result = open("boosted.onnx", &[]).infer(request.clone(), &FAIL).await.unwrap().values;
    let labels: Vec<String> = serde_json::from_value(expected["boosted"]["label"].clone()).unwrap();
    let found = result.as_struct().column(0).as_string::<i32>();
    assert_eq!(found.iter().flatten().collect::<Vec<_>>(), labels);
    for (row, wanted) in matrix(&expected["boosted"]["probabilities"]).iter().enumerate() {
        let found = result.as_struct().column(1).as_list::<i32>().value(row);
        for (found, wanted) in found.as_primitive::<Float32Type>().values().iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }
    let only = open("boosted.onnx", &[("outputs", "label")]).infer(request.clone(), &FAIL).await.unwrap().values;
    assert_eq!(only.as_string::<i32>().value(0), labels[0]);
    let zipped = open("zipmap_text.onnx", &[]);
    let values = zipped.infer(request.clone(), &FAIL).await.unwrap().values;
    assert_eq!(values.data_type(), &zipped.spec().output_type());
    for (row, wanted) in expected["zipmap_text"]["maps"].as_array().unwrap().iter().enumerate() {
        let entries = values.as_struct().column(1).as_map().value(row);
        let (keys, scores) = (entries.column(0).as_string::<i32>(), entries.column(1).as_primitive::<Float32Type>());
        assert_eq!(keys.len(), 3);
        for (key, score) in keys.iter().flatten().zip(scores.values()) {
            assert!((f64::from(*score) - wanted[key].as_f64().unwrap()).abs() < 1e-6);
        }
    }
    let numbered = open("zipmap_number.onnx", &[]).infer(request, &FAIL).await.unwrap().values;
    let scores = numbered.as_struct().column(1).as_map();
    assert_eq!(scores.keys().as_primitive::<arrow::datatypes::Int64Type>().values()[..3], [0, 1, 2]);
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

#[tokio::test]
async fn a_classifier_folder_gives_label_and_score() {
    let spec = inspect("tiny-classifier", &[]).unwrap();
    assert_eq!((spec.kind, spec.task.as_str()), (Kind::Classifier, "text-classification"));
    assert_eq!((spec.labels.len(), spec.max_length, spec.tokenizer.as_deref()), (3, Some(12), Some("WordLevel")));
    let model = open("tiny-classifier", &[]);
    let texts = ["very good film", "bad", "the film was not good", "very good film"];
    let together = model.infer(Arc::new(StringArray::from(texts.to_vec())), &FAIL).await.unwrap();
    assert_eq!(together.values.data_type(), &spec.output_type());
    assert_eq!(together.input_tokens.unwrap(), [3, 1, 5, 3]);
    for (row, text) in texts.iter().enumerate() {
        let request = fields(vec![("text", Arc::new(LargeStringArray::from(vec![*text])) as ArrayRef)], None);
        let alone = model.infer(request, &FAIL).await.unwrap().values;
        assert_eq!(alone.as_struct().slice(0, 1), together.values.as_struct().slice(row, 1), "{text}");
    }
    let score = together.values.as_struct().column(1).as_primitive::<Float32Type>().value(0);
    assert!((1.0 / 3.0..=1.0).contains(&score), "{score}");
}

#[test]
fn text_folders_that_do_not_fit_are_refused() {
    let error = inspect("tiny-mismatch", &[]).unwrap_err();
    assert!(matches!(error, Error::TokenizerMismatch { .. }), "{error:?}");
    assert!(matches!(inspect("tiny-classifier", &[("max_length", "13")]), Err(Error::OptionInvalid { .. })));
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.onnx", "config.json"] {
        std::fs::copy(data("tiny-classifier").join(name), folder.path().join(name)).unwrap();
    }
    let inspect = || runtime().inspect(folder.path(), &ModelOptions::default());
    assert!(matches!(inspect(), Err(Error::TokenizerMissing { .. })));
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    assert!(matches!(inspect(), Err(Error::TokenizerInvalid { .. })));
    std::fs::copy(data("tiny-classifier").join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"id2label": {"0": "one"}}"#).unwrap();
    assert!(matches!(inspect(), Err(Error::ModelInvalid { .. })));
    std::fs::write(
        folder.path().join("modules.json"),
        r#"[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]"#,
    )
    .unwrap();
    assert!(matches!(inspect(), Err(Error::UnsupportedModel { .. })));
}

#[tokio::test]
async fn long_texts_are_cut_and_counted() {
    let texts = vec![Some("good ".repeat(12)), Some("good ".repeat(13)), None, Some(String::new())];
    let request: ArrayRef = Arc::new(StringArray::from(texts));
    for pooling in Pooling::ALL {
        let model = open("tiny-encoder", &[("pooling", pooling.as_str())]);
        let result = model.infer(request.clone(), &FAIL).await.unwrap();
        assert_eq!(result.input_tokens.as_deref().unwrap(), [12, 12, 0, 0]);
        assert_eq!(result.truncated.as_deref().unwrap(), [false, true, false, false]);
        assert_eq!((result.stats.truncated_rows, result.stats.input_tokens), (1, 24));
        let vectors = result.values.as_list::<i32>();
        assert_eq!(vectors.value(0).to_data(), vectors.value(1).to_data(), "{pooling}");
        assert!(vectors.is_null(2) && vectors.is_valid(3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_have_the_same_bits_in_any_batch() {
    let spec = runtime().inspect(&minilm(), &ModelOptions::default()).unwrap();
    assert_eq!((spec.kind, spec.dimension, spec.max_length), (Kind::Encoder, Some(384), Some(256)));
    assert_eq!((spec.pooling, spec.normalize), (Some(Pooling::Mean), true));
    let texts: Vec<String> =
        (0..48).map(|row| format!("text {row} {}", "of several words ".repeat(row % 13))).collect();
    let request: ArrayRef = Arc::new(StringArray::from(texts.clone()));
    let model = open_at(&minilm(), &[]);
    let result = model.infer(request.clone(), &FAIL).await.unwrap();
    let reference = bits(&result.values);
    let norm: f32 =
        result.values.as_list::<i32>().value(7).as_primitive::<Float32Type>().values().iter().map(|v| v * v).sum();
    assert!((norm - 1.0).abs() < 1e-5);
    assert!(result.stats.padded_tokens >= result.stats.input_tokens);
    for tokens in ["1", "100", "700"] {
        let model = open_at(&minilm(), &[("batch_tokens", tokens)]);
        assert_eq!(bits(&model.infer(request.clone(), &FAIL).await.unwrap().values), reference, "{tokens}");
    }
    let backwards: ArrayRef = Arc::new(StringArray::from_iter_values(texts.iter().rev()));
    let mut found = bits(&model.infer(backwards, &FAIL).await.unwrap().values);
    found.reverse();
    assert_eq!(found, reference);
}

/// Against sentence-transformers with torch; `tests/data/embeddings/README.md` says how they were made.
#[tokio::test(flavor = "multi_thread")]
async fn embeddings_agree_with_sentence_transformers() {
    let folder = workspace().join("tests/data/embeddings");
    let texts: Vec<String> = serde_json::from_slice(&std::fs::read(folder.join("texts.json")).unwrap()).unwrap();
    let bytes = std::fs::read(folder.join("vectors.f32")).unwrap();
    let wanted: Vec<f32> = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    let result = open_at(&minilm(), &[]).infer(Arc::new(StringArray::from(texts.clone())), &FAIL).await.unwrap();
    let list = result.values.as_list::<i32>();
    assert_eq!((list.len(), list.null_count(), wanted.len()), (500, 0, 500 * 384));
    let found = list.values().as_primitive::<Float32Type>().values();
    let worst = found.iter().zip(&wanted).map(|(found, wanted)| (found - wanted).abs()).fold(0f32, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_have_the_same_bits_in_any_batch() {
    let folder = workspace().join(".setup/models/ticket-classifier");
    let texts: Vec<String> =
        (0..12).map(|row| format!("please refund invoice {row} {}", "which I never ordered ".repeat(row))).collect();
    let all: ArrayRef = Arc::new(StringArray::from(texts.clone()));
    let together = open_at(&folder, &[]).infer(all.clone(), &FAIL).await.unwrap().values;
    let alone = open_at(&folder, &[("batch_rows", "1")]).infer(all, &FAIL).await.unwrap().values;
    assert_eq!(together.to_data(), alone.to_data());
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
