"""HTML, for people. Never imports the API."""
