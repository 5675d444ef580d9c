"""Choosing OpenBLAS's kernels by what the operating system says of the processor."""

import os
from pathlib import Path

import pytest

from lmgen.cli.processor import CHOICE, NEEDED, THREADS, choose_kernels, use_one_thread

AVX512 = " ".join(sorted(NEEDED))


@pytest.mark.parametrize(
    ("vendor", "flags", "chosen"),
    [
        ("AuthenticAMD", f"fpu avx2 {AVX512} sha_ni", "SkylakeX"),
        ("AuthenticAMD", "fpu avx2 avx512f", None),
        ("GenuineIntel", f"fpu avx2 {AVX512}", None),  # these OpenBLAS knows
    ],
)
def test_an_amd_processor_with_avx512_gets_its_kernels(
    vendor: str, flags: str, chosen: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CHOICE, raising=False)
    described = tmp_path / "cpuinfo"
    one = f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: a: b\nflags\t\t: {flags}\n\n"
    described.write_text(one + one.replace("0", "1"))

    choose_kernels(described)
    try:
        assert os.environ.get(CHOICE) == chosen
    finally:
        os.environ.pop(CHOICE, None)


def test_what_the_user_has_chosen_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOICE, "Haswell")
    described = tmp_path / "cpuinfo"
    described.write_text(f"vendor_id : AuthenticAMD\nflags : {AVX512}\n")
    choose_kernels(described)

    assert os.environ[CHOICE] == "Haswell"


def test_other_systems_have_no_such_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHOICE, raising=False)
    choose_kernels(tmp_path / "missing")

    assert CHOICE not in os.environ


def test_one_thread_unless_the_user_has_said_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.setenv(name, "4")
        monkeypatch.delenv(name)
    use_one_thread()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"

    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    use_one_thread()
    assert "OPENBLAS_NUM_THREADS" not in os.environ
