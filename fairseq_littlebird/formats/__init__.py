"""Files as users have them: opened, taken apart into records, and told by their first record."""
