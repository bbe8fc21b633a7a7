-- One million rows of thirty REAL columns, scored by two classifiers. `make bench` writes the Parquet file and the models.
CREATE SCHEMA bench;

CREATE EXTERNAL TABLE bench.feature_file STORED AS PARQUET LOCATION '.setup/bench/features.parquet';

CREATE TABLE bench.features AS SELECT * FROM bench.feature_file;

CREATE MODEL bench_gbdt FROM '.setup/bench/gbdt.onnx';

CREATE MODEL bench_logistic FROM '.setup/bench/logistic.onnx';

-- measure: scan
SELECT count(*),
    sum(f00), sum(f01), sum(f02), sum(f03), sum(f04), sum(f05), sum(f06), sum(f07), sum(f08), sum(f09),
    sum(f10), sum(f11), sum(f12), sum(f13), sum(f14), sum(f15), sum(f16), sum(f17), sum(f18), sum(f19),
    sum(f20), sum(f21), sum(f22), sum(f23), sum(f24), sum(f25), sum(f26), sum(f27), sum(f28), sum(f29)
FROM bench.features;

-- measure: gbdt
SELECT count(*), avg((ai_query('bench_gbdt', named_struct(
    'f00', f00, 'f01', f01, 'f02', f02, 'f03', f03, 'f04', f04, 'f05', f05, 'f06', f06, 'f07', f07, 'f08', f08,
    'f09', f09, 'f10', f10, 'f11', f11, 'f12', f12, 'f13', f13, 'f14', f14, 'f15', f15, 'f16', f16, 'f17', f17,
    'f18', f18, 'f19', f19, 'f20', f20, 'f21', f21, 'f22', f22, 'f23', f23, 'f24', f24, 'f25', f25, 'f26', f26,
    'f27', f27, 'f28', f28, 'f29', f29
))).probabilities[2])
FROM bench.features;

-- measure: logistic
SELECT count(*), avg((ai_query('bench_logistic', named_struct(
    'f00', f00, 'f01', f01, 'f02', f02, 'f03', f03, 'f04', f04, 'f05', f05, 'f06', f06, 'f07', f07, 'f08', f08,
    'f09', f09, 'f10', f10, 'f11', f11, 'f12', f12, 'f13', f13, 'f14', f14, 'f15', f15, 'f16', f16, 'f17', f17,
    'f18', f18, 'f19', f19, 'f20', f20, 'f21', f21, 'f22', f22, 'f23', f23, 'f24', f24, 'f25', f25, 'f26', f26,
    'f27', f27, 'f28', f28, 'f29', f29
))).probabilities[2])
FROM bench.features;
