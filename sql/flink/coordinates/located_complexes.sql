SELECT complex_id, content, fetched_ms FROM located_complexes
