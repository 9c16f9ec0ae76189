-- The aggregations among the queries of the NEXMark benchmark, side by side over one stream of bids. Query 5 is its windowed count (which auction
-- has most is another step), query 7 its maximum, query 12 counts by event time where the original asks the clock.
--
-- Queries 15 to 17 group by day in the original, without a window, and each bid updates its group. Here the day is a window, which holds the same groups:
-- a look-up of the live window shows each bid at once, and that update is what the latency "visible" is of. A day ends in no run, so these have no latency of
-- results, but the end of the input closes it, and its results are checked like all others. A window that showed each step of the day (CUMULATE) would have
-- to close a result per key for each step until midnight at the end of the input, and a running total without a window would never be published.
-- Query 16 shows the latest bid's time as it is, where the original cuts it to the minute.
CREATE STREAM bid (
  auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, date_time TIMESTAMP,
  WATERMARK FOR date_time AS date_time - INTERVAL '50 milliseconds'
);

CREATE METRIC q5 AS
SELECT auction, window_start, window_end, COUNT(*) AS bids
FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')
GROUP BY auction, window_start, window_end;

CREATE METRIC q7 AS
SELECT window_start, window_end, MAX(price) AS price, ARG_MAX(bidder, price) AS bidder
FROM TUMBLE(bid, date_time, INTERVAL '10 seconds')
GROUP BY window_start, window_end;

CREATE METRIC q11 AS
SELECT bidder, window_start, window_end, COUNT(*) AS bids
FROM SESSION(bid, date_time, INTERVAL '10 seconds')
GROUP BY bidder, window_start, window_end;

CREATE METRIC q12 AS
SELECT bidder, window_start, window_end, COUNT(*) AS bids
FROM TUMBLE(bid, date_time, INTERVAL '10 seconds')
GROUP BY bidder, window_start, window_end;

CREATE METRIC q15 AS
SELECT window_start, window_end,
       COUNT(*) AS total_bids,
       COUNT(*) FILTER (WHERE price < 10000) AS rank1_bids,
       COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids,
       COUNT(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
       COUNT(DISTINCT bidder) AS total_bidders,
       COUNT(DISTINCT bidder) FILTER (WHERE price < 10000) AS rank1_bidders,
       COUNT(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bidders,
       COUNT(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS rank3_bidders,
       COUNT(DISTINCT auction) AS total_auctions,
       COUNT(DISTINCT auction) FILTER (WHERE price < 10000) AS rank1_auctions,
       COUNT(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_auctions,
       COUNT(DISTINCT auction) FILTER (WHERE price >= 1000000) AS rank3_auctions
FROM TUMBLE(bid, date_time, INTERVAL '1 day')
GROUP BY window_start, window_end;

CREATE METRIC q16 AS
SELECT channel, window_start, window_end,
       MAX(date_time) AS latest,
       COUNT(*) AS total_bids,
       COUNT(*) FILTER (WHERE price < 10000) AS rank1_bids,
       COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids,
       COUNT(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
       COUNT(DISTINCT bidder) AS total_bidders,
       COUNT(DISTINCT bidder) FILTER (WHERE price < 10000) AS rank1_bidders,
       COUNT(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bidders,
       COUNT(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS rank3_bidders,
       COUNT(DISTINCT auction) AS total_auctions,
       COUNT(DISTINCT auction) FILTER (WHERE price < 10000) AS rank1_auctions,
       COUNT(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_auctions,
       COUNT(DISTINCT auction) FILTER (WHERE price >= 1000000) AS rank3_auctions
FROM TUMBLE(bid, date_time, INTERVAL '1 day')
GROUP BY channel, window_start, window_end;

CREATE METRIC q17 AS
SELECT auction, window_start, window_end,
       COUNT(*) AS total_bids,
       COUNT(*) FILTER (WHERE price < 10000) AS rank1_bids,
       COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids,
       COUNT(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
       MIN(price) AS min_price,
       MAX(price) AS max_price,
       AVG(price) AS avg_price,
       SUM(price) AS sum_price
FROM TUMBLE(bid, date_time, INTERVAL '1 day')
GROUP BY auction, window_start, window_end;
