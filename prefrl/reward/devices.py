"""Which device to compute on, decided once at the edge and passed down."""

import torch

from prefrl.errors import DeviceError


def resolve_device(device: str) -> torch.device:
    """Return the device, or say that it is not there.

    Args:
        device: "auto" (a GPU if there is one, else the CPU), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        DeviceError: The name is unknown to torch, or this machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(f"`device` must be auto, cpu, cuda, cuda:N or mps. Received {device!r}.") from error
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (resolved.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(resolved.type, False):
        raise DeviceError(f"`device` is {device!r}, but this machine has none; use auto or cpu.")
    return resolved
