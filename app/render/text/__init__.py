"""A line of text -> an outline: its order, its shapes, its bend onto the baseline."""
