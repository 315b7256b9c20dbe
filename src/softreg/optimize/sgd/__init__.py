"""Mini-batch stochastic gradient descent: running moments of the columns, and the steps.

It imports the loss and the rows alone. A change of what is kept between batches goes to `running_moments`, one of the
steps, rates and schedules to `train`.
"""
