import pytest

from remediation.go_values import is_true


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_true_is_what_go_takes_for_it(text: str) -> None:
    assert is_true(text)


@pytest.mark.parametrize("text", ["0", "f", "false", "", " true", "tRUE", "yes", "on", None])
def test_everything_else_is_not(text: str | None) -> None:
    assert not is_true(text)
