SELECT k, 100 / (n - 7) AS q FROM numbers
