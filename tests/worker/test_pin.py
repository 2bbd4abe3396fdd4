"""How `kubeconfig pin` ends without a yes: with the exit codes and words of all commands that ask."""

import io

import pytest

import worker.pin as pin
from cli.endings import NO_ANSWER, NOT_YES
from cli.exit_codes import ExitCode


class Terminal(io.StringIO):
    """Answers that come from a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "words"), [("n\n", NOT_YES), ("\n", NOT_YES), ("yeah\n", NOT_YES), ("", NO_ANSWER)]
)
def test_a_question_without_a_yes_is_cancelled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, words: str
):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr(pin, "_pin", lambda *_: pin._confirm((), ()))

    assert pin.main(["eu"]) == ExitCode.CANCELLED
    assert capsys.readouterr().err == f"{words}\n"


def test_ctrl_c_is_told_apart_from_an_answer(monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(pin, "_pin", interrupt)

    assert pin.main(["eu"]) == ExitCode.INTERRUPTED
