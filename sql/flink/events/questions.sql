SELECT question, ROW(question) FROM ${operation}_asked
