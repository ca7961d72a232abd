import pytest
import torch

from prefrl.errors import DeviceError
from prefrl.reward import resolve_device


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_is_the_cpu() -> None:
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")


@pytest.mark.usefixtures("two_gpus")
def test_with_a_gpu_auto_is_the_gpu() -> None:
    assert resolve_device("auto") == torch.device("cuda")
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "meta"])
def test_an_absent_device_is_an_error(device: str) -> None:
    with pytest.raises(DeviceError, match=rf"`device` is '{device}', but this machine has none"):
        resolve_device(device)


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_too_many_is_an_error() -> None:
    with pytest.raises(DeviceError, match=r"`device` is 'cuda:2'"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x"])
def test_an_unknown_name_is_an_error(device: str) -> None:
    with pytest.raises(DeviceError, match=rf"`device` must be auto, cpu, .* Received '{device}'"):
        resolve_device(device)
