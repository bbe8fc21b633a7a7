-- Search by meaning: every function's documentation as a vector of the built-in embedding model, in a Delta table.
CREATE TABLE demo.function_vectors AS
SELECT name, usage, description, embed(name || ': ' || description) AS embedding FROM demo.functions;

SELECT name, description, round(cosine_distance(embedding, embed('how do I round a number down')), 3) AS distance
FROM demo.function_vectors
ORDER BY cosine_distance(embedding, embed('how do I round a number down'))
LIMIT 5;

SELECT name, usage
FROM demo.function_vectors
ORDER BY cosine_distance(embedding, embed('cut a text into parts at every comma'))
LIMIT 5;
