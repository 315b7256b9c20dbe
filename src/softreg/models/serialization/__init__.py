"""The model file, and the state of a fitted `SoftmaxRegression` in it.

It may import `inputs` and the packages below `models`. A new kind of label that can be stored goes to `label_state.py`,
a new stored parameter to `regression_state.py`, and a change of the file format to `model_file.py`.
"""
