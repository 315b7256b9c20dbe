"""Methods for hundreds to a hundred thousand classes, whose memory is a small multiple of the weights.

No array with a number for every row and class is made, but for the dual probabilities of sparse rows, which take two
bytes each. A further method for many classes goes here.
"""
