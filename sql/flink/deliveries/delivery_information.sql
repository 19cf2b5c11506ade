SELECT
    order_id, ordered_at, store_id, store_name, category, menu, pay, delivery_charge, payment_method, complex_id,
    region, address, lat, lon
FROM orders
