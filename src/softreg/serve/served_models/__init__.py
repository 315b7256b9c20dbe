"""Models that answer requests: JSON cells to features, probabilities, intervals, contributions, and the files on disk.

It imports `requests` and the packages below the service. A new kind of model is a class with the attributes of
`served_model.ServedModel`, chosen in `registry.load_served_model`.
"""
