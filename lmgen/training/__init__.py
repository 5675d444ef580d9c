"""Windows in, weights out. The only folder that imports torch."""
