"""Speech as networks are trained on it: cached features, embeddings, batches."""
