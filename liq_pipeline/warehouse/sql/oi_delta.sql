CREATE TABLE IF NOT EXISTS oi_delta (
    exchange VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    open_interest DOUBLE NOT NULL,
    oi_delta DOUBLE,
    oi_delta_usd DOUBLE,
    entry_price DOUBLE NOT NULL,
    volume DOUBLE NOT NULL,
    is_interpolated BOOLEAN NOT NULL,
    contract INTEGER NOT NULL
);
COMMENT ON TABLE oi_delta IS 'Change of open interest per bar: how many contracts were opened (positive) or closed (negative).';
COMMENT ON COLUMN oi_delta.exchange IS 'where the perpetual is traded: binance (USD-M futures)';
COMMENT ON COLUMN oi_delta.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN oi_delta.ts IS 'closing instant of the bar [UTC]';
COMMENT ON COLUMN oi_delta.open_interest IS 'open interest at ts; between snapshots: spread by volume [contracts]';
COMMENT ON COLUMN oi_delta.oi_delta IS 'open interest minus that of the bar before; null in the first row of a contract [contracts]';
COMMENT ON COLUMN oi_delta.oi_delta_usd IS 'oi_delta at the entry price; null in the first row of a contract [USD]';
COMMENT ON COLUMN oi_delta.entry_price IS 'volume-weighted average price of the bar, within its range [USD]';
COMMENT ON COLUMN oi_delta.volume IS 'traded volume [contracts]';
COMMENT ON COLUMN oi_delta.is_interpolated IS 'true where the change was spread over a gap of snapshots or klines, not observed in this bar';
COMMENT ON COLUMN oi_delta.contract IS 'counts the contracts that used this ticker, from 1; the newest is the living one';
