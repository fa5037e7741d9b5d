"""Where to publish: addresses, passwords, names."""

from __future__ import annotations

import pytest

from shoestring.base.errors import StorageError, UsageError
from shoestring.device.publish.broker import VARIABLE, Broker, device_name, parse_broker, slug


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "user"),
    [
        ("mqtt://home", "home", 1883, False, None),
        ("mqtts://home.lan", "home.lan", 8883, True, None),
        ("mqtt://cam@10.0.0.2:1884", "10.0.0.2", 1884, False, "cam"),
        ("mqtt://[::1]:1885/", "::1", 1885, False, None),
        ("mqtt://a%40b@home", "home", 1883, False, "a@b"),
    ],
)
def test_addresses(url, host, port, tls, user):
    assert parse_broker(url, {}) == Broker(host, port, tls, user)


@pytest.mark.parametrize(
    "url", ["home", "http://home", "mqtt://", "mqtt://home:0", "mqtt://home:99999", "mqtt://ho me", "mqtt://home/topic",
            "mqtt://home?x=1", "mqtt://-home", "mqtt://" + "a" * 300,
            "mqtt://" + "a" * 64, "mqtt://a..b"]
)  # fmt: skip
def test_what_is_no_address_is_refused(url):
    with pytest.raises(UsageError):
        parse_broker(url, {})


def test_a_password_on_the_command_line_is_refused_and_not_repeated():
    with pytest.raises(UsageError) as caught:
        parse_broker("mqtt://cam:geheim@home", {})
    assert "geheim" not in str(caught.value) and VARIABLE in str(caught.value)


def test_the_password_comes_from_the_environment_or_a_file_and_is_never_shown(tmp_path):
    file = tmp_path / "password"
    file.write_bytes("grün \n".encode())
    of_environment = parse_broker("mqtt://cam@home", {VARIABLE: "geheim"})
    of_file = parse_broker("mqtt://cam@home", {VARIABLE: "geheim"}, password_file=file)
    assert (of_environment.password, of_file.password) == ("geheim", "grün ")
    assert "geheim" not in repr(of_environment)
    with pytest.raises(UsageError, match="no user"):
        parse_broker("mqtt://home", {VARIABLE: "geheim"})
    file.write_bytes(b"\n")
    with pytest.raises(UsageError, match="no password"):
        parse_broker("mqtt://cam@home", {}, password_file=file)
    with pytest.raises(StorageError):
        parse_broker("mqtt://cam@home", {}, password_file=tmp_path / "none")


@pytest.mark.parametrize(
    ("url", "clear"),
    [("mqtt://cam@home", True), ("mqtts://cam@home", False), ("mqtt://cam@127.0.0.1", False),
     ("mqtt://cam@[::1]", False), ("mqtt://cam@localhost", False), ("mqtt://cam@127.0.0.1.evil.net", True)],
)  # fmt: skip
def test_a_password_that_would_go_in_the_clear_is_known(url, clear):
    assert parse_broker(url, {VARIABLE: "geheim"}).in_the_clear is clear
    assert not parse_broker("mqtt://home", {}).in_the_clear


def test_names_hold_nothing_that_topics_give_a_meaning():
    assert device_name("porch-1") == "porch-1"
    assert device_name(None) == device_name(device_name(None))
    for name in ("", "a/b", "a+", "#", "a b", "x" * 65):
        with pytest.raises(UsageError):
            device_name(name)
    assert slug("Traffic light #2") == "traffic_light_2" and slug("+") == "unnamed"
