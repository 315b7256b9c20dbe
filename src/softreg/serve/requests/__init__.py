"""Bodies of requests and their errors: limits of bytes and time, strict JSON, one sentence for what is wrong.

It imports `settings` only. A new rule of what a body may be belongs here; a rule of a column to `served_models`.
"""
