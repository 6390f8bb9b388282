CREATE TABLE IF NOT EXISTS position_survival (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    side VARCHAR NOT NULL,
    log_survival DOUBLE NOT NULL,
    tracked DOUBLE NOT NULL,
    untracked DOUBLE NOT NULL,
    liquidated DOUBLE NOT NULL
);
COMMENT ON TABLE position_survival IS 'Per bar and side: how positions survive, and where open interest stands. tracked + untracked = open interest.';
COMMENT ON COLUMN position_survival.symbol IS 'perpetual, as the exchange names it';
COMMENT ON COLUMN position_survival.ts IS 'closing instant of the bar [UTC]';
COMMENT ON COLUMN position_survival.side IS 'long or short';
COMMENT ON COLUMN position_survival.log_survival IS 'natural log of the survival factor: remaining(i, T) = opened × exp(log_survival(T) − log_survival(i)) [1]';
COMMENT ON COLUMN position_survival.tracked IS 'open interest in known cohorts [contracts]';
COMMENT ON COLUMN position_survival.untracked IS 'open interest of unknown origin: older than the data, or taken over inside a bar [contracts]';
COMMENT ON COLUMN position_survival.liquidated IS 'estimated positions that the bar touched [contracts]';

-- What is left of each living cell at the newest bar. Not stored: every bar changes every row of it.
CREATE OR REPLACE VIEW living_positions AS
SELECT c.*, c.contracts_opened * exp(n.log_survival - s.log_survival) AS contracts_open
FROM position_cells AS c
JOIN position_survival AS s ON s.symbol = c.symbol AND s.side = c.side AND s.ts = c.opened_at
JOIN (
    SELECT symbol, side, arg_max(log_survival, ts) AS log_survival FROM position_survival GROUP BY ALL
) AS n ON n.symbol = c.symbol AND n.side = c.side
WHERE c.liquidated_at IS NULL;
