"""
How much work a model from nothing takes. A preset fixes sizes and work for each byte, never seconds: when a
file is decompressed, everything is computed once more.

The archive keeps a preset's number: what one computes may only change together with the archive's version.
"""

from dataclasses import dataclass

from lmgen.arrays import IdArray
from lmgen.compression.from_nothing import LearnedPredictor, NetworkSize
from lmgen.errors import ConfigError, CorpusError
from lmgen.settings import did_you_mean, likeliest


@dataclass(frozen=True, slots=True)
class Preset:
    """Sizes of a model that is made while a file is read."""

    name: str
    number: int
    """What the archive keeps."""
    help: str
    order: int
    """The longest context that counts have, and 1."""
    network: NetworkSize | None = None
    most_streams: int = 32
    shortest_part: int = 256
    """Bytes of a stream at least."""

    def streams_for(self, count: int) -> int:
        """S: in how many parts a file of so many bytes is cut."""
        return min(max(count // self.shortest_part, 1), self.most_streams)

    def predictor(self, alphabet: IdArray, streams: int) -> LearnedPredictor:
        """
        What predicts the bytes of a file.

        Args:
            alphabet: the bytes that occur, (V,).
            streams: S.
        """
        return LearnedPredictor(alphabet, streams, self.order, self.network)


PRESETS = (
    Preset("quick", 1, "counts of contexts, mixed by a gate", order=7),
    Preset(
        "good",
        2,
        "the same with a network",
        order=7,
        network=NetworkSize(hidden=192, embedding=64, rate=4e-3, every=16),
    ),
)

DEFAULT_PRESET = "good"


def preset_named(name: str) -> Preset:
    """
    A preset by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    by_name = {preset.name: preset for preset in PRESETS}
    if name not in by_name:
        raise ConfigError(
            f"--preset is {name!r}, but has to be one of {', '.join(by_name)}"
            f"{did_you_mean(likeliest(name, by_name))}"
        )
    return by_name[name]


def preset_numbered(number: int) -> Preset:
    """
    The preset of an archive.

    Raises:
        CorpusError: there is none of that number.
    """
    for preset in PRESETS:
        if preset.number == number:
            return preset
    raise CorpusError(
        f"the archive was made with preset number {number}, which is not known here: upgrade lmgen"
    )
