"""The generator of delivery orders: what an order is, and how it can be broken."""
