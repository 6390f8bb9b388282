-- The newest bar of $symbol in which something was traded, and the newest snapshot above zero; null where there is none.
SELECT
    (SELECT max(ts) FROM klines WHERE symbol = $symbol AND volume > 0) AS klines,
    (SELECT max(ts) FROM open_interest WHERE symbol = $symbol AND open_interest > 0) AS open_interest
