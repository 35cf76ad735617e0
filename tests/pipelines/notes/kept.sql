SELECT DISTINCT number, text FROM notes
