//! Text models: embeddings, labels, folders that don't fit.

use super::*;

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
