"""What batches cost: beside bare drawing, beside supporters, and with very many photos."""
