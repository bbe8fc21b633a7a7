-- Text to labels: the same encoder with a linear head, a folder as Hugging Face's tools write it.
CREATE MODEL ticket_classifier FROM '.setup/models/ticket-classifier';

SELECT ai_query('ticket_classifier', 'The export button has been broken since Monday.') AS answer;

CREATE TABLE demo.ticket_predictions AS
SELECT id, text, label, (answer).label AS predicted, (answer).score AS score
FROM (SELECT id, text, label, ai_query('ticket_classifier', text) AS answer FROM demo.tickets WHERE split = 'holdout') AS answered;

SELECT label, count(*) AS row_count, round(avg(CASE WHEN predicted = label THEN 1.0 ELSE 0.0 END), 3) AS accuracy
FROM demo.ticket_predictions
GROUP BY label
ORDER BY label;

-- A model call may stand wherever an expression may; here it decides which rows come back.
SELECT id, text
FROM demo.tickets
WHERE split = 'holdout' AND (ai_query('ticket_classifier', text)).label = 'cancellation'
ORDER BY (ai_query('ticket_classifier', text)).score DESC
LIMIT 5;
