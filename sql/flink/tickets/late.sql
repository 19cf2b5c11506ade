SELECT * FROM facts WHERE late
