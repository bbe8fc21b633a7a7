-- Three million rows of two integers, to be read by the same client from us and from PostgreSQL.
CREATE SCHEMA bench;

CREATE TABLE bench.pairs AS SELECT value AS a, value * 2 AS b FROM generate_series(1, 3000000) AS numbers(value);

-- measure: rows
SELECT a, b FROM bench.pairs;

-- measure: one
SELECT 1;
