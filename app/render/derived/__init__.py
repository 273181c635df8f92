"""What is made of a finished avatar."""
