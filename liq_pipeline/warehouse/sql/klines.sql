CREATE TABLE IF NOT EXISTS klines (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    open_time TIMESTAMPTZ NOT NULL,
    open DOUBLE,
    high DOUBLE,
    low DOUBLE,
    close DOUBLE,
    volume DOUBLE,
    quote_volume DOUBLE,
    trade_count BIGINT,
    taker_buy_volume DOUBLE,
    taker_buy_quote_volume DOUBLE,
    source VARCHAR NOT NULL,
    contract INTEGER NOT NULL DEFAULT 1,
    bad_print VARCHAR,
    -- Operators only: DuckDB 1.5 cannot replay its log after a crash where a CHECK calls a function, as + does.
    CHECK (bad_print IS NOT NULL OR (open IS NOT NULL AND high IS NOT NULL AND low IS NOT NULL AND close IS NOT NULL
                                     AND volume IS NOT NULL AND quote_volume IS NOT NULL))
);
COMMENT ON TABLE klines IS 'Bars of the base interval, one row per symbol and bar, named by their closing instant. All four prices are null where they are bad: such a bar counts as missing.';
COMMENT ON COLUMN klines.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN klines.ts IS 'closing instant of the bar [UTC]';
COMMENT ON COLUMN klines.open_time IS 'opening instant of the bar [UTC]';
COMMENT ON COLUMN klines.open IS 'first price [USD]';
COMMENT ON COLUMN klines.high IS 'highest price [USD]';
COMMENT ON COLUMN klines.low IS 'lowest price [USD]';
COMMENT ON COLUMN klines.close IS 'last price [USD]';
COMMENT ON COLUMN klines.volume IS 'traded volume; null where it contradicts the quote volume, which then stands in [contracts]';
COMMENT ON COLUMN klines.quote_volume IS 'traded volume; null where it contradicts the volume: the typical price then stands in [USD]';
COMMENT ON COLUMN klines.trade_count IS 'number of trades';
COMMENT ON COLUMN klines.taker_buy_volume IS 'volume bought by takers [contracts]';
COMMENT ON COLUMN klines.taker_buy_quote_volume IS 'volume bought by takers [USD]';
COMMENT ON COLUMN klines.source IS 'where the row came from: archive, or rest until the archive has it';
COMMENT ON COLUMN klines.contract IS 'counts the contracts that used this ticker, from 1; the newest is the living one';
COMMENT ON COLUMN klines.bad_print IS 'what contradicts what, and what was reported; null where nothing does [reason]';

-- Whole quarter hours only: a roll-up with a missing bar would claim a range it has not seen.
CREATE OR REPLACE VIEW klines_15m AS
SELECT
    symbol,
    contract,
    time_bucket(INTERVAL 15 MINUTE, open_time) + INTERVAL 15 MINUTE AS ts,
    time_bucket(INTERVAL 15 MINUTE, open_time) AS open_time,
    arg_min(open, ts) AS open,
    max(high) AS high,
    min(low) AS low,
    arg_max(close, ts) AS close,
    sum(coalesce(volume, quote_volume / ((high + low + close) / 3))::DECIMAL(28, 8))::DOUBLE AS volume,
    sum(coalesce(quote_volume, volume * (high + low + close) / 3)::DECIMAL(28, 8))::DOUBLE AS quote_volume
FROM klines
WHERE close IS NOT NULL
GROUP BY ALL
HAVING sum(date_diff('minute', klines.open_time, klines.ts)) = 15;
