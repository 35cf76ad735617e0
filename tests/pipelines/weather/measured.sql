SELECT DISTINCT
  m.station,
  m.time,
  CASE WHEN $scale = 'kelvin' THEN m.degrees + 273.15 ELSE m.degrees END AS degrees
FROM measurements AS m
INNER JOIN stations AS s ON s.station = m.station
