"""
What `lmgen train` does around the mathematics. Importing it does not import torch.

- config.py, presets.py, config_file.py: the settings of a run
- run.py: a run from corpus to model; setup.py: what it starts from; finetuning.py: from another model
- new_run.py, lock.py: how a run folder comes to be, and who may write in it; records.py: what a run writes
- trials.py: short runs that leave no folder behind; ngram.py: n-gram models, alone
- events.py: what happens, for whoever shows it
"""
