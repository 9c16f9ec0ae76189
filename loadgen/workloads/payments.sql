-- "What is the success rate of channel X over the last minute?", anew each second: `success`, which is what runs unless metrics are named.
-- `merchant_success` asks the same of merchants, each of which has payments through all channels.
CREATE STREAM payments (
  channel VARCHAR, merchant VARCHAR, status VARCHAR, amount BIGINT, event_time TIMESTAMP,
  WATERMARK FOR event_time AS event_time - INTERVAL '50 milliseconds'
);

CREATE METRIC success AS
SELECT channel, window_start, window_end,
       COUNT(*) AS payments,
       COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate,
       SUM(amount) AS volume
FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')
GROUP BY channel, window_start, window_end;

CREATE METRIC merchant_success AS
SELECT merchant, window_start, window_end,
       COUNT(*) AS payments,
       COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate,
       SUM(amount) AS volume
FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')
GROUP BY merchant, window_start, window_end;
