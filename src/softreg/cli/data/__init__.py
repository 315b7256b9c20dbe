"""Data of a command: tables, labels, held-out rows, model files.

The package may import `cli.console` and `cli.options`.
"""
