"""Text that goes on: sampling from any language model."""
