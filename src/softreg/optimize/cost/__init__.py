"""What a fit costs: bytes read, operations, and the seconds of its parts, beside the limits of the machine.

It imports `rows` alone. A solver counts through `meter.current_meter()`; another limit of machines belongs in
`machine_limits.py`, another sentence about a fit in `machine_use.py`.
"""
