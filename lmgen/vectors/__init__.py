"""
Vectors of words: trained from a text, taken out of a trained network, compared, saved and drawn.

    pairs.py       what skip-gram and CBOW are trained on
    training.py    trains them with negative sampling, by gensim; config.py has the settings
    reading.py     files of word vectors; writing.py writes them
    models.py      the embedding of a network as word vectors
    lookup.py      the vector of a word, and those nearest to `king - man + woman` (expression.py)
    table.py       `Vectors`: the same with analogies, pictures and files
    analogies.py   questions `a is to b as c is to d`, asked by section
    picture.py     words as points of the plane, by t-SNE or PCA

The folder stands right of models/, whose embeddings it reads, and of inspection/, whose charts it draws
with; left of runs/, where a network may start from a file of vectors (`--embeddings`).
"""
