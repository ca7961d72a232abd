from pathlib import Path
from typing import Any

import pytest

from prefrl.errors import SettingError
from prefrl_labeling_gui.settings import Settings

RUN = Path("run")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1", "[::1]"])
def test_this_machine_alone_needs_no_name(host: str) -> None:
    settings = Settings(run=RUN, host=host)
    assert settings.is_local
    assert "evil.example" not in settings.allowed_hosts


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "lab.example.org"])
def test_others_are_let_in_under_a_name_only(host: str) -> None:
    with pytest.raises(SettingError, match="--allow-host NAME"):
        Settings(run=RUN, host=host)
    settings = Settings(run=RUN, host=host, allow_host=("lab.example.org", "192.168.0.7"))
    assert not settings.is_local
    assert settings.public_host == "lab.example.org"
    assert set(settings.allowed_hosts) >= {"lab.example.org", "192.168.0.7", "localhost"}


def test_an_address_is_written_so_that_browsers_read_it() -> None:
    assert Settings(run=RUN, host="::1").public_host == "[::1]"
    assert Settings(run=RUN).public_host == "127.0.0.1"


@pytest.mark.parametrize("name", ["*", "*.example.org", "http://lab", "lab:8000", "", "a b", "lab/"])
def test_names_are_names(name: str) -> None:
    with pytest.raises(SettingError, match="without scheme and port"):
        Settings(run=RUN, allow_host=(name,))


@pytest.mark.parametrize("proxy", ["127.0.0.1", "10.0.0.0/24", "::1", "2001:db8::/32"])
def test_proxies_are_addresses_or_networks(proxy: str) -> None:
    assert Settings(run=RUN, trusted_proxy=(proxy,)).trusted_proxy == (proxy,)


@pytest.mark.parametrize("proxy", ["*", "", "nginx", "10.0.0.1/24", "127.0.0.1:80"])
def test_other_proxies_are_refused(proxy: str) -> None:
    with pytest.raises(SettingError, match="`trusted_proxy` takes addresses"):
        Settings(run=RUN, trusted_proxy=("127.0.0.1", proxy))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("port", -1),
        ("port", 65536),
        ("repeat_share", -0.1),
        ("repeat_share", 0.6),
        ("least_look", -0.1),
        ("least_look", 11),
        ("lease_minutes", 0.0),
        ("clip_size", 32),
    ],
)
def test_numbers_out_of_range_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"`{setting}` must be between"):
        Settings(run=RUN, **{setting: value})
