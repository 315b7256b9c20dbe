"""row_selection."""
