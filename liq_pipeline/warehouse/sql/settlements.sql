CREATE TABLE IF NOT EXISTS settlements (
    symbol VARCHAR NOT NULL,
    settled_at TIMESTAMPTZ NOT NULL,
    resumed_at TIMESTAMPTZ NOT NULL,
    is_listed BOOLEAN NOT NULL,
    found VARCHAR NOT NULL
);
COMMENT ON TABLE settlements IS 'Where a ticker passed from one contract to another: every older position ended, neither liquidated nor carried over.';
COMMENT ON COLUMN settlements.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN settlements.settled_at IS 'last instant of the old contract [UTC]';
COMMENT ON COLUMN settlements.resumed_at IS 'opening instant of the first bar of the new one [UTC]';
COMMENT ON COLUMN settlements.is_listed IS 'true where the dated file lists it, false where the data gives rise to suspect it';
COMMENT ON COLUMN settlements.found IS 'what was seen, in words';
