"""A folder whose files are shared: seen, hashed once, known by an index, served to whoever asks."""
