"""
The recurrent network: a list of layers from token ids to log-probabilities of the next one. numpy only.

- config.py: its settings
- cells.py: the equations of every recurrent cell
- outputs.py: from hidden states to log-probabilities
- initialization.py: the weights it starts from; compression.py: weights in fewer bytes
- model.py: the network in use; kernels.py: the fast ways that numpy has
"""
