"""Token ids to batches: the memory-mapped token file, and the windows cut from it."""
