"""Many photos at once: what partner organisations hand over, and what they get back."""
