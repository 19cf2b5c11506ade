-- Python takes what it needs of many rows at once; the rest stays in the JVM.
SELECT batch_id, sheet, `row_number`, payload, version, located(x, y, source_crs, fault) AS found FROM requests
