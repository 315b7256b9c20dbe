"""Programs as a C99 header that needs no library but the standard one.

`header` assembles it from `c_inputs` (what is read of a row), `c_steps` (probabilities from logits), `c_functions`
and `c_probabilities` (functions that do not depend on the model), `c_names` and `c_literals`. A new term or step is a
function in one of the first two. It imports `program` only.
"""
