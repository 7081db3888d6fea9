import json

import numpy as np
import pytest
from make_recurrent import FIXTURES, answers, package_folder, pronunciations
from recurrent_cases import CASES


@pytest.mark.parametrize("cell", CASES)
def test_the_fixture_of_a_cell_is_what_torch_answers(cell: str) -> None:
    with np.load(FIXTURES / f"{cell}.npz", allow_pickle=False) as file:
        stored = {name: file[name] for name in file.files}
    again = answers(cell)
    assert set(stored) == set(again)
    for name, values in again.items():
        assert np.abs(stored[name] - values).max() <= 1e-6 * np.abs(values).max()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its open files
def test_the_pronunciations_are_those_of_the_packages_own_code() -> None:
    stored = json.loads((FIXTURES / "pronunciations.json").read_text(encoding="utf-8"))
    assert stored == pronunciations(package_folder())
