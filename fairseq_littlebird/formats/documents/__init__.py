"""Documents of people: files and folders to a text with pages or lines."""
