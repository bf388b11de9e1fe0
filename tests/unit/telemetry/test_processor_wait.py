"""The time in which the machine had no processor for this process."""

from pathlib import Path

from molecule.telemetry.processor_wait import ProcessorWait


def test_it_is_the_second_number_that_the_kernel_tells(tmp_path: Path) -> None:
    told = tmp_path / "schedstat"
    told.write_text("953962000 7249896000 2\n")
    wait = ProcessorWait(told)
    assert wait.us() == 7_249_896
    told.write_text("953962000 7249999000 2\n")
    assert wait.us() == 7_249_999


def test_nobody_waited_where_the_kernel_does_not_tell(tmp_path: Path) -> None:
    assert ProcessorWait(tmp_path / "nothing").us() == 0
    told = tmp_path / "schedstat"
    told.write_text("\n")
    assert ProcessorWait(told).us() == 0
