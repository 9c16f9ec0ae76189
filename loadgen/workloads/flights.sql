-- Real flights, a year of them again and again: how reliable has each carrier been over the last day?
CREATE STREAM flights (
  event_time TIMESTAMP, carrier VARCHAR, origin VARCHAR, status VARCHAR, arr_delay_min INTEGER,
  WATERMARK FOR event_time AS event_time - INTERVAL '3 hours'
);

CREATE METRIC carrier_reliability AS
SELECT carrier, window_start, window_end,
       COUNT(*) AS flights,
       COUNT(*) FILTER (WHERE status = 'ON_TIME') AS on_time,
       COUNT(*) FILTER (WHERE status = 'CANCELLED') AS cancelled
FROM HOP(flights, event_time, INTERVAL '1 hour', INTERVAL '1 day')
GROUP BY carrier, window_start, window_end;

CREATE METRIC airport_delays AS
SELECT origin, window_start, window_end,
       COUNT(*) AS flights,
       AVG(arr_delay_min) AS mean_delay_min,
       MAX(arr_delay_min) AS worst_delay_min
FROM HOP(flights, event_time, INTERVAL '15 minutes', INTERVAL '3 hours')
WHERE status <> 'CANCELLED'
GROUP BY origin, window_start, window_end;
