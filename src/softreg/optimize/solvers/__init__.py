"""Iterative solvers for a stack of models: directions, line search, the descent loop, and Newton's method.

It imports `problem`, `objective`, `certificate` and `curvature`. A change of how a direction is computed goes to
`lbfgs`, `orthant_lbfgs` or `newton`; of when a model is finished, to `loop` or `one_pass_newton`; of what is kept for
each model of a stack, to `stack_members`.
"""
