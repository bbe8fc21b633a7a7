//! Graphs over columns: what goes in and comes out, rows that fail, the same bits.

use super::*;

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
