"""Newton steps with the exact Hessian of one model, which certify a fit that duality does not certify.

It imports `problem`, `objective`, `certificate` and `solvers`. `newton_steps` is for smooth penalties, `proximal_steps`
for an l1 part, bounds and priors; `box_quadratic` minimises the quadratic model of a proximal step.
"""
