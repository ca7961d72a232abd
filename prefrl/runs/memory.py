"""What a process has freed, given back to the system."""

import ctypes
import gc


def give_back_memory() -> None:
    """Give freed memory back.

    The C library keeps what was freed in small pieces for later, which is right while a training goes on: it needs
    the same again and again. What comes after it needs other memory on top.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other C libraries do without
    if trim is not None:
        trim(0)
