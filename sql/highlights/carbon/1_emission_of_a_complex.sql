-- Emission of the complex that emitted most in the last month entered
SELECT complexes.name AS complex, to_char(month, 'YYYY-MM') AS month, kg_co2
FROM emission_per_complex_month JOIN complexes USING (complex_id)
WHERE kg_co2 IS NOT NULL
ORDER BY month DESC, kg_co2 DESC
LIMIT 1
