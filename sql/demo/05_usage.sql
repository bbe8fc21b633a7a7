-- What the models are, and what they did.
SELECT name, task, device_used, left(sha256, 12) AS sha256 FROM system.models ORDER BY name;

SELECT model, count(*) AS queries, sum(rows) AS row_count, sum(distinct_rows) AS distinct_rows, sum(runs) AS runs,
       sum(input_tokens) AS input_tokens, sum(padded_tokens) AS padded_tokens, round(sum(run_ms)) AS run_ms
FROM system.inference_usage
GROUP BY model
ORDER BY model;
