"""Readers of embeddings and labels in files: NumPy, PyTorch, Parquet, and labels in text. Each returns named arrays."""
