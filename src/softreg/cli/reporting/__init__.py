"""report_data."""
