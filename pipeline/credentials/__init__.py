"""Content Credentials: a signed statement of what a file is and what it was made from (C2PA)."""
