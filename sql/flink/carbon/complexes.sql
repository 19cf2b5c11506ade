SELECT *, CURRENT_TIMESTAMP AS updated_at FROM complexes_result
