-- A total as a row of its table. Sums may fall; how many records are in them only grows, and so is the version.
SELECT ${columns}, records AS version, CURRENT_TIMESTAMP AS updated_at FROM totals WHERE total = '${total}'
