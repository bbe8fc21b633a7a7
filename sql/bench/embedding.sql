-- Twenty thousand real paragraphs, each embedded once into a Delta table. `make bench` writes the Parquet file.
CREATE SCHEMA bench;

CREATE EXTERNAL TABLE bench.paragraph_file STORED AS PARQUET LOCATION '.setup/bench/paragraphs.parquet';

CREATE TABLE bench.paragraphs AS SELECT * FROM bench.paragraph_file;

-- The first call loads the model.
SELECT embed('warm up') IS NOT NULL;

-- measure: embed
CREATE TABLE bench.paragraph_vectors AS SELECT id, embed(text) AS embedding FROM bench.paragraphs;

-- measure: count
SELECT count(embedding) FROM bench.paragraph_vectors;
