-- The main job: on-time and cancellation rates of all flights that left New York in 2013.
--
--     raympp run examples/flights.sql
--
-- The log holds flights in the order in which they really left, so their scheduled times (event_time) go back and forth: more than half
-- of the rows are out of order, by up to 21.7 hours. A row is late, and counts nowhere but in `late_flights`, if it is
-- more than 3 hours behind the latest time before it.

CREATE STREAM flights (
  flight_id BIGINT,
  event_time TIMESTAMP,           -- scheduled departure, local time of New York
  carrier VARCHAR,                -- 'UA', 'B6', …
  origin VARCHAR,                 -- 'EWR', 'JFK' or 'LGA'
  dest VARCHAR,
  status VARCHAR,                 -- 'ON_TIME', 'LATE', 'CANCELLED' or 'DIVERTED'
  arr_delay_min INTEGER,          -- NULL if it never arrived where it was bound for
  WATERMARK FOR event_time AS event_time - INTERVAL '3 hours'
) WITH (connector = 'file', path = 'examples/data/flights-2013.csv.gz', format = 'csv');

-- How reliable has each carrier been over the last day? One row per carrier and hour, each over the 24 hours before.
CREATE METRIC carrier_reliability AS
SELECT carrier, window_start, window_end,
       COUNT(*) AS flights,
       COUNT(*) FILTER (WHERE status = 'ON_TIME')::DOUBLE PRECISION / COUNT(*) AS on_time_rate,
       COUNT(*) FILTER (WHERE status = 'CANCELLED')::DOUBLE PRECISION / COUNT(*) AS cancellation_rate
FROM HOP(flights, event_time, INTERVAL '1 hour', INTERVAL '1 day')
GROUP BY carrier, window_start, window_end;

-- The same stream once more, at no second reading: how do the three airports do, over the last 3 hours every 15 minutes?
CREATE METRIC airport_delays AS
SELECT origin, window_start, window_end,
       COUNT(*) AS flights,
       AVG(arr_delay_min) AS mean_delay_min,
       MAX(arr_delay_min) AS worst_delay_min
FROM HOP(flights, event_time, INTERVAL '15 minutes', INTERVAL '3 hours')
WHERE status <> 'CANCELLED'
GROUP BY origin, window_start, window_end
HAVING COUNT(*) >= 5;

CREATE SINK carriers FROM carrier_reliability WITH (connector = 'file', path = 'out/flights/carriers', format = 'csv', sorted = true, overwrite = true);
CREATE SINK airports FROM airport_delays WITH (connector = 'file', path = 'out/flights/airports', format = 'csv', sorted = true, overwrite = true);
CREATE SINK late_flights FROM flights_late WITH (connector = 'file', path = 'out/flights/late', format = 'csv', overwrite = true);
