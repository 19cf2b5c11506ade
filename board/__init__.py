"""What people and programs look at: one service, `python -m board`, of which each module brings a part."""
