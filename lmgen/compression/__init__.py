"""Files made smaller by a model's probabilities, exactly as many bytes as these promise, and back."""
