SELECT station, max(degrees) AS warmest FROM measured GROUP BY station
