"""Sentences and tables on groups of rows, for the page and the command line."""
