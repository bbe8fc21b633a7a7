//! Models that can't be: the statement says what is wrong, and the store is as it was.

use std::path::Path;

use crate::harness::root;
use crate::process::{Process, failure, value};

/// Everything below the store's folder, at any depth.
fn stored(data_dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(data_dir.join("models")) else { return vec![] };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_model_files_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    let scratch = tempfile::tempdir().unwrap();
    let whole = std::fs::read(root().join("tests/data/models/boosted.onnx")).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = scratch.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    };
    let encoder = root().join("tests/data/models/tiny-encoder");
    let tokenless = scratch.path().join("tokenless");
    std::fs::create_dir(&tokenless).unwrap();
    for entry in std::fs::read_dir(&encoder).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), tokenless.join(entry.file_name())).unwrap();
    }
    std::fs::write(tokenless.join("tokenizer.json"), "{\"version\": \"1.0\", \"trunc").unwrap();
    for (source, code, part) in [
        (file("half.onnx", &whole[..whole.len() / 2]), "ML002", "half.onnx"),
        (file("start.onnx", &whole[..10]), "ML002", "start.onnx"),
        (file("empty.onnx", b""), "ML002", "empty.onnx"),
        (file("text.onnx", b"this is no model"), "ML002", "text.onnx"),
        ("tests/data/models/tiny-mismatch".into(), "ML002", "tokenizer"),
        (tokenless.to_string_lossy().into_owned(), "ML002", "tokenizer"),
        ("no/such/file.onnx".into(), "58P01", "no/such/file.onnx"),
    ] {
        let (found, words) = failure(&client, &format!("CREATE MODEL broken FROM '{source}'")).await;
        assert_eq!(found, code, "{source}: {words}");
        assert!(words.contains(part), "{source}: {words}");
        assert_eq!(value(&client, "SELECT count(*) FROM system.models").await, "0", "{source}");
        assert_eq!(stored(folder.path()), Vec::<String>::new(), "{source}");
    }
    client.batch_execute("CREATE MODEL sound FROM 'tests/data/models/tiny-encoder'").await.unwrap();
    assert_eq!(stored(folder.path()).len(), 1);
    assert_eq!(value(&client, "SELECT embed('hello', 'sound') IS NOT NULL").await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_runtime_or_model_names_the_command_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--onnxruntime", "/nonexistent/libonnxruntime.so", "--model-dir", "/nonexistent/models"];
    let server = Process::start(folder.path(), &options);
    let client = server.connect().await;
    for sql in ["CREATE MODEL m FROM 'tests/data/models/boosted.onnx'", "SELECT embed('x')"] {
        let (code, words) = failure(&client, sql).await;
        assert!(["ML001", "F0000"].contains(&code.as_str()), "{sql}: {code} {words}");
        assert!(words.contains("make setup"), "{sql}: {words}");
        assert_eq!(value(&client, "SELECT 1").await, "1");
    }
    assert_eq!(stored(folder.path()), Vec::<String>::new());
}
