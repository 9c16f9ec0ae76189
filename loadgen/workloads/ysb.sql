-- The Yahoo streaming benchmark: how often the advertisements of each campaign were viewed, each ten seconds. A campaign has ten advertisements whose
-- numbers follow each other, so its number is computed where the original looks it up in a table.
CREATE STREAM events (
  ad_id BIGINT, ad_type VARCHAR, event_type VARCHAR, event_time TIMESTAMP,
  WATERMARK FOR event_time AS event_time - INTERVAL '50 milliseconds'
);

CREATE METRIC views AS
SELECT ad_id / 10 AS campaign, window_start, window_end, COUNT(*) AS views, MAX(event_time) AS latest
FROM TUMBLE(events, event_time, INTERVAL '10 seconds')
WHERE event_type = 'view'
GROUP BY ad_id / 10, window_start, window_end;
