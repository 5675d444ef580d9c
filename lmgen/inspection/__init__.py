"""
What goes on inside a model while it reads a text. numpy only.

    texts.py       the tokens of a text, unit by unit
    states.py      h, c and every gate at each token; one vector for each text
    gates.py       how often each unit's gates are nearly open or closed
    gradients.py   how far back in a text gradients reach; backward.py, attention.py: through a layer's step
    memory.py      how much of what came before a model uses
    untrained.py   networks with random weights, to compare with
    pictures.py    all of this as charts; chart.py writes them as SVG
"""
