"""What people read, in every language: the languages, and the translations of texts and errors."""
