"""Charts of what is inspected: which series there are, and what they are called."""

from lmgen.inspection.gradients import GradientNorm
from lmgen.inspection.pictures import gradients_chart, short_names


def norms() -> list[GradientNorm]:
    return [
        GradientNorm(cell="lstm", layer="0", state="h", distance=distance, norm=1.0) for distance in range(3)
    ]


def labels(*models: str) -> list[str]:
    return [
        series.label for series in gradients_chart([(name, e) for name in models for e in norms()]).series
    ]


def test_models_with_one_file_name_are_curves_of_their_own() -> None:
    assert labels("a/m.safetensors") == ["lstm h"]
    assert labels("a/one.safetensors", "b/two") == ["lstm h (one.safetensors)", "lstm h (two)"]
    assert labels("a/m.safetensors", "b/m.safetensors") == [
        "lstm h (a/m.safetensors)",
        "lstm h (b/m.safetensors)",
    ]


def test_short_names_tell_models_apart() -> None:
    assert short_names(["a/run", "b/other", "untrained"]) == ["run", "other", "untrained"]
    assert short_names(["a/run", "b/run", "c"]) == ["a/run", "b/run", "c"]
