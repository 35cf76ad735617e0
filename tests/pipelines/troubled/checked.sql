SELECT k, n FROM numbers
