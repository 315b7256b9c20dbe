"""Output of the commands: messages on stderr, progress, the table of results, errors and exit codes.

A new message or number format is here; the package imports no other part of `cli`.
"""
