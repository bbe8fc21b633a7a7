use std::{path::Path, sync::Arc, time::Instant};
use alluvia_inference::*;
use arrow::array::*;
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = Runtime::load(Path::new(".setup/onnxruntime/libonnxruntime.so")).unwrap();
    let path = Path::new(&args[2]);
    let opts: std::collections::BTreeMap<String, String> = args.iter().skip(3).filter_map(|a| a.split_once('=').map(|(a, b)| (a.into(), b.into()))).collect();
    let o = ModelOptions::parse(&opts).unwrap();
    let spec = runtime.inspect(path, &o).unwrap();
    let model = runtime.open(path, &spec, "x", &o).unwrap();
    let request: ArrayRef = if args[1] == "text" {
        let t: Vec<String> = serde_json::from_slice(&std::fs::read("/tmp/inf/paragraphs.json").unwrap()).unwrap();
        Arc::new(StringArray::from(t))
    } else {
        let n: usize = 1_000_000;
        let k = 30;
        let mut s = 1u64;
        let values: Vec<f64> = (0..n * k).map(|_| { s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); (s >> 33) as f64 / 2f64.powi(30) - 1.0 }).collect();
        let cols: Vec<(Arc<arrow::datatypes::Field>, ArrayRef)> = (0..k).map(|j| (Arc::new(arrow::datatypes::Field::new(format!("c{j}"), arrow::datatypes::DataType::Float64, true)), Arc::new(Float64Array::from(values[j * n..(j + 1) * n].to_vec())) as ArrayRef)).collect();
        Arc::new(StructArray::from(cols))
    };
    for _ in 0..2 {
        let t = Instant::now();
        let r = model.infer(request.clone(), &InferOptions { fail_on_error: true, query_id: 1 }).await.unwrap();
        let s = t.elapsed().as_secs_f64();
        println!("{} rows {:.3}s {:.0} rows/s run {:.0} ms ({:.0}/s) {:?} est {} MB", request.len(), s, request.len() as f64 / s, r.stats.run_ms, request.len() as f64 / r.stats.run_ms * 1e3, r.stats, model.estimate_bytes(&request) >> 20);
    }
    println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM")).collect::<String>());
}
