CREATE TABLE IF NOT EXISTS open_interest (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    open_interest DOUBLE,
    open_interest_value_usd DOUBLE,
    count_toptrader_long_short_ratio DOUBLE,
    sum_toptrader_long_short_ratio DOUBLE,
    count_long_short_ratio DOUBLE,
    sum_taker_long_short_vol_ratio DOUBLE,
    create_time TIMESTAMPTZ,
    file_date DATE,
    source VARCHAR NOT NULL,
    contract INTEGER NOT NULL DEFAULT 1,
    bad_print VARCHAR
);
COMMENT ON TABLE open_interest IS 'Reported open interest every 5 minutes, one row per symbol and snapshot instant.';
COMMENT ON COLUMN open_interest.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN open_interest.ts IS 'instant of the snapshot [UTC]';
COMMENT ON COLUMN open_interest.open_interest IS 'open interest; null where the print is bad: zero or less, or see bad_print [contracts]';
COMMENT ON COLUMN open_interest.open_interest_value_usd IS 'open interest at the price of the snapshot; 0 where the exchange printed zero contracts [USD]';
COMMENT ON COLUMN open_interest.count_toptrader_long_short_ratio IS 'accounts long over accounts short, top 20 % of traders [ratio]';
COMMENT ON COLUMN open_interest.sum_toptrader_long_short_ratio IS 'positions long over positions short, top 20 % of traders [ratio]';
COMMENT ON COLUMN open_interest.count_long_short_ratio IS 'accounts long over accounts short, all traders [ratio]';
COMMENT ON COLUMN open_interest.sum_taker_long_short_vol_ratio IS 'taker buy volume over taker sell volume, 5 minutes [ratio]';
COMMENT ON COLUMN open_interest.create_time IS 'label of the row, as written; its meaning changed on 2026-06-25 [UTC]';
COMMENT ON COLUMN open_interest.file_date IS 'day of the file that the row came from; null for rows of REST';
COMMENT ON COLUMN open_interest.source IS 'where the row came from: archive, or rest until the archive has it';
COMMENT ON COLUMN open_interest.contract IS 'counts the contracts that used this ticker, from 1; the newest is the living one';
COMMENT ON COLUMN open_interest.bad_print IS 'what contradicts what, and what was reported; null where nothing does [reason]';
