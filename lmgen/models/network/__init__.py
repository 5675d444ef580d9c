"""
The recurrent network: a list of layers from token ids to log-probabilities of the next one. numpy only.

- config.py: its settings; layers.py: the list of layers that they describe
- layer.py: what every layer is; embedding.py, recurrent.py, dense.py, output.py: a kind of layer each
- cells.py: the equations of every recurrent cell; functions.py: what layers and cells compute with
- initializers.py: how a parameter starts; initialization.py: the weights of a whole network before training
- compression.py: weights in fewer bytes
- model.py: the network in use; kernels.py, output_kernels.py, tiles.py: the fast ways that numpy has
"""
