"""JSON and pictures, for programs. Never imports the pages."""
