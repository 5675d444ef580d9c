"""The command line: each command opens a model, calls the library, and prints the result."""
