-- Bids of the NEXMark auction benchmark: which auctions are hot (the windowed count behind query 5), and what the winning prices are
-- (the maximum behind query 7).
--
--     raympp run examples/nexmark.sql

CREATE STREAM bid (
  auction BIGINT,
  bidder BIGINT,
  price BIGINT,
  date_time TIMESTAMP,
  WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'nexmark', table = 'bid', rows = 1000000, seed = 1);

CREATE METRIC auction_bids AS
SELECT auction, window_start, window_end, COUNT(*) AS bids
FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')
GROUP BY auction, window_start, window_end
HAVING COUNT(*) >= 100;

CREATE METRIC highest_bid AS
SELECT window_start, window_end, MAX(price) AS price, ARG_MAX(bidder, price) AS bidder
FROM TUMBLE(bid, date_time, INTERVAL '10 seconds')
GROUP BY window_start, window_end;

CREATE SINK hot_auctions FROM auction_bids WITH (connector = 'file', path = 'out/nexmark/hot_auctions', format = 'csv', sorted = true);
CREATE SINK winners FROM highest_bid WITH (connector = 'file', path = 'out/nexmark/winners', format = 'csv', sorted = true);
