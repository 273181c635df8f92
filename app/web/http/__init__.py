"""What the API and the pages read of requests, and answer with, alike."""
