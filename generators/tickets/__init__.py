"""Ticket sales of the city's shows: bursts when a show goes on sale, double clicks, oversells, cancellations."""
