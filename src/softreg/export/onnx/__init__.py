"""Programs as ONNX models of double precision, which consist of standard operators only.

`graph` has `onnx_model`. The files named after kinds of inputs (`number_blocks`, `word_blocks`, `date_blocks`,
`vector_blocks`) print their terms, `probability_steps` the steps after the softmax, `label_output` the labels and
`model_metadata` the documentation; all of them write nodes with `graph_builder`. It imports `program` only.
"""
