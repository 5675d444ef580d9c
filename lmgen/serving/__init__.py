"""An HTTP server for language models: `lmgen serve`."""
