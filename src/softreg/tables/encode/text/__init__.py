"""Free text as TF-IDF features: tokenizer, vocabulary and the encoder with its fitter.

It may import `tables.columns` and `encode.column_encoder`. A new kind of term goes to `tokenizer`, the choice of terms
to `vocabulary`, weights of terms to `text_encoder`, and shares of words to `word_contributions`.
"""
