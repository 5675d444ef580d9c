"""
What `lmgen train` does around the mathematics. Importing any of it imports no torch.

- run.py: a run from corpus to model; setup.py: what it needs before its first update; ngram.py: its baseline
- config.py: all settings as one value; config_file.py: where they come from, and `config.toml`;
  presets.py, sizes.py: settings by name, and sizes that fit the time
- finetuning.py: a run that starts from another model; resuming.py: the settings that a run goes on with
- new_run.py, lock.py: creating a run folder, and locking it; records.py: what a run writes into it
- together.py: a run that several processes do together
- interruption.py: stopping a run by signals and callbacks; events.py: what a run yields
- trials.py: short runs that leave no folder behind
"""
