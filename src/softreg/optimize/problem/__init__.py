"""The problem to minimise: penalties, standardised coordinates, options, and the records of a result.

It imports `rows` and no other package of `optimize`. A further penalty is a file here that implements
`penalty_protocol.Penalty` and a line of `penalties.PENALTIES`; a threshold of the solver plan goes to `limits`.
"""
