"""How surprised a model is by a text: nats, perplexity, bits."""
