"""Free text as TF-IDF features: tokenizer, vocabulary and encoder."""
