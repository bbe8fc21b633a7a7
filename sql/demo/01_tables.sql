-- A schema, and the demo's files as external tables. Paths are relative to the folder the server was started in.
CREATE SCHEMA demo;

CREATE EXTERNAL TABLE demo.cancer_file
STORED AS CSV LOCATION 'tests/data/demo/breast_cancer.csv' OPTIONS ('format.has_header' 'true');

CREATE EXTERNAL TABLE demo.ticket_file
STORED AS CSV LOCATION 'tests/data/demo/tickets.csv' OPTIONS ('format.has_header' 'true');

-- Delta tables of our own, made from them.
CREATE TABLE demo.cancer AS SELECT * FROM demo.cancer_file;

CREATE TABLE demo.tickets AS SELECT * FROM demo.ticket_file;

-- The documentation of every SQL function that this server has.
CREATE TABLE demo.functions AS
SELECT routine_name AS name, min(description) AS description, min(syntax_example) AS usage
FROM information_schema.routines
WHERE description <> ''
GROUP BY routine_name;

SELECT 'cancer' AS relation, count(*) AS row_count FROM demo.cancer
UNION ALL
SELECT 'tickets', count(*) FROM demo.tickets
UNION ALL
SELECT 'functions', count(*) FROM demo.functions
ORDER BY relation;
