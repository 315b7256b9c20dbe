"""json_files."""
