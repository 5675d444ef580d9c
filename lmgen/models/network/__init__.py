"""
The recurrent network: a list of layers from token ids to log-probabilities of the next token. numpy only.

- config.py: settings of the network
- layer.py: the interface of a layer; layers.py: builds the list of layers from the settings
- embedding.py, recurrent.py, dense.py, output.py: one kind of layer each
- cells.py: the equations of every recurrent cell; functions.py: activations and other array functions
- initialization.py, initializers.py: initial weights
- model.py: the network for inference; kernels.py, output_kernels.py, tiles.py: fast inference with numpy
- compression.py: weights as float16 or int8 in a model file
"""
