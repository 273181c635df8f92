"""What a process remembers between requests."""
