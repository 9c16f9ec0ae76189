-- Generated payments: 100 channels, of which one degrades now and then. The same rows on every run.
--
--     raympp run examples/payments.sql
--
-- `raympp demo` shows this metric live; here 2,000,000 rows pass as fast as they can, and the last query shows where it stands then.

CREATE STREAM payments (
  payment_id BIGINT,
  channel VARCHAR,
  status VARCHAR,                 -- 'SUCCESS', 'FAILED' or 'TIMEOUT'
  amount DECIMAL(18,2),
  event_time TIMESTAMP,
  WATERMARK FOR event_time AS event_time - INTERVAL '2 seconds'
) WITH (connector = 'payments', rows = 2000000, event_rate = 20000, keys = 100, out_of_orderness = '1s', seed = 7);

-- "What is the success rate of channel X over the last minute?", anew each second.
CREATE METRIC payment_success_rate AS
SELECT channel, window_start, window_end,
       COUNT(*) AS payments,
       COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate,
       SUM(amount) AS volume
FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')
WHERE amount > 0
GROUP BY channel, window_start, window_end;

CREATE SINK rates FROM payment_success_rate WITH (connector = 'file', path = 'out/payments/rates', format = 'parquet');

-- Answered when the input has ended: the five channels that did worst in the last minute of it.
SELECT channel, payments, success_rate, volume
FROM payment_success_rate
WHERE live
ORDER BY success_rate, channel
LIMIT 5;
