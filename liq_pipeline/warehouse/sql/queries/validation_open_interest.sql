-- Snapshots of open interest of $symbol, contracts, as `liq validate` reads them, of the living contract.
SELECT ts, open_interest
FROM open_interest
WHERE symbol = $symbol AND open_interest > 0
    AND contract = (SELECT max(contract) FROM klines WHERE symbol = $symbol)
ORDER BY ts
