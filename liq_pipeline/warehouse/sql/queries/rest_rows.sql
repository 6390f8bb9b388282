-- How many of $symbol's rows came from REST, because the archive does not have those hours yet.
SELECT
    (SELECT count(*) FROM open_interest WHERE symbol = $symbol AND source = 'rest') AS open_interest,
    (SELECT count(*) FROM klines WHERE symbol = $symbol AND source = 'rest') AS klines
