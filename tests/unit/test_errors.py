"""Commands: options in full, and one sentence for whatever is wrong."""

from pathlib import Path

import pytest

from conf.errors import CitystreamError, Parser, command


def ends(error: BaseException) -> int:
    @command
    def main() -> int:
        raise error

    return main()


def test_an_error_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(CitystreamError("Do this.")) == 1
    assert capsys.readouterr().err == "Do this.\n"


def test_an_interrupt_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""


def test_a_file_that_may_not_be_used_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(PermissionError(13, "Permission denied", str(Path("/somewhere")))) == 1
    assert capsys.readouterr().err == "/somewhere can't be used (Permission denied): change who may write there.\n"


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        ends(ZeroDivisionError())


def test_a_shortened_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="one")
    parser.add_argument("--seconds")
    sub = parser.add_subparsers().add_parser("two")
    sub.add_argument("--repair", action="store_true")
    for arguments in (["--sec", "1"], ["two", "--rep"]):
        with pytest.raises(SystemExit) as exited:
            parser.parse_args(arguments)
        assert exited.value.code == 2
    assert "unrecognized arguments: --rep" in capsys.readouterr().err
