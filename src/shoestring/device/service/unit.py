"""The text of a systemd unit that lets a run or a server do its work and nothing else.

Keys are those of systemd.service(5), systemd.exec(5) and systemd.resource-control(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WATCHDOG_S = 150
"""Without a sign of life for so long it is restarted. We give none from 75 s after a standstill on: a frame may
take 60 s on a slow board before its engine is taken to hang (GUARD_RUN_SECONDS)."""
START_S = 180
"""To load and check the first rung: more than `Running` waits for it."""
STOP_S = 30
NETWORKS = ("none", "local", "open")
"""What may be talked to: nobody, this machine, everybody."""
_NAME = re.compile(r"^[A-Za-z0-9_-]{1,48}$")
_USER = re.compile(r"^[a-z_][a-z0-9_-]{0,31}$")
_PROGRAM = re.compile(r"^/[^\x00-\x1f\x7f\"'\\$]*$")
_PLAIN = re.compile(r"^[A-Za-z0-9_./:=@,+-]+$")


@dataclass(frozen=True)
class Service:
    """What is to run, and what it needs.

    Args:
        name: of the service; the unit is `shoestring-NAME.service`.
        command: program (an absolute path) and its words.
        memory_bytes: of all its processes together.
        user: to run as; None takes one that exists only while the service runs.
        camera: whether it looks at a camera of this machine.
        network: one of NETWORKS.
        low_port: whether it listens on a port below 1024.
        homes: whether it reads files in somebody's home.
        writes: directories that it writes to beside its own, by absolute paths.
    """

    name: str
    command: tuple[str, ...]
    memory_bytes: int
    user: str | None = None
    camera: bool = False
    network: str = "open"
    low_port: bool = False
    homes: bool = False
    writes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if _NAME.match(self.name) is None:
            raise UsageError(f"{self.name!r} cannot name a service", hint="at most 48 of letters, digits, _ and -")
        if self.user is not None and _USER.match(self.user) is None:
            raise UsageError(f"{self.user!r} is not the name of a user", hint="it must exist on the device")
        program = self.command[0]
        if _PROGRAM.match(program) is None:
            raise UsageError(
                f"systemd cannot start {program!r}", hint="an absolute path without $, quotes and backslash"
            )
        if self.network not in NETWORKS:
            raise UsageError(f"{self.network!r} is none of {', '.join(NETWORKS)}")

    @property
    def unit(self) -> str:
        """Name of the unit's file."""
        return f"shoestring-{self.name}.service"


def unit_text(service: Service) -> str:
    """The whole file."""
    sections = {"Unit": _unit(service), "Service": _service(service), "Install": _install()}
    return "\n".join(f"[{title}]\n" + "".join(f"{line}\n" for line in lines) for title, lines in sections.items())


def quoted(word: str, *, variables: bool = True) -> str:
    """A word of a command line as systemd reads it back: see "Command lines" and "Specifiers" in its manual.

    Args:
        word: any text without the zero character.
        variables: whether `$` stands for a variable there; it does not in the path of the program.

    Raises:
        UsageError: it holds the zero character.
    """
    if "\0" in word:
        raise UsageError("a word of a command line cannot hold the zero character")
    safe = word.replace("%", "%%")
    if variables:
        safe = safe.replace("$", "$$")
    if _PLAIN.match(word) is not None:
        return safe
    escaped = safe.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if ord(one) >= 32 and ord(one) != 127 else f"\\x{ord(one):02x}" for one in escaped) + '"'


def command_line(command: Sequence[str]) -> str:
    """Program and words, as `ExecStart=` takes them."""
    return " ".join((quoted(command[0], variables=False), *map(quoted, command[1:])))


def _unit(service: Service) -> Iterator[str]:
    yield f"Description=Shoestring {service.name}"
    if service.network == "open":
        yield "Wants=network-online.target"
        yield "After=network-online.target"
    # Ten failures in ten minutes are no accident: then it stays down, for somebody to look.
    yield "StartLimitIntervalSec=600"
    yield "StartLimitBurst=10"


def _service(service: Service) -> Iterator[str]:
    folder = f"shoestring-{service.name}"
    yield "Type=notify"
    yield "NotifyAccess=main"
    yield f"ExecStart={command_line(service.command)}"
    yield f"WatchdogSec={WATCHDOG_S}"
    yield f"TimeoutStartSec={START_S}"
    yield f"TimeoutStopSec={STOP_S}"
    yield "KillMode=mixed"
    yield "Restart=on-failure"
    yield "RestartSec=5"
    yield "# A wrong flag and a bundle that is not what it claims do not mend by themselves."
    yield "RestartPreventExitStatus=2 4"
    yield f"StateDirectory={folder}"
    yield f"CacheDirectory={folder}"
    yield f"WorkingDirectory=%S/{folder}"
    yield f"Environment=SHOESTRING_CACHE=%C/{folder} PYTHONDONTWRITEBYTECODE=1"
    yield "# Passwords and tokens: NAME=value lines, readable by root alone."
    yield f"EnvironmentFile=-/etc/shoestring/{service.name}.env"
    yield f"MemoryMax={service.memory_bytes}"
    yield "# An engine that takes too much is killed alone, and started again by us."
    yield "OOMPolicy=continue"
    yield "TasksMax=256"
    yield from _identity(service)
    yield from _devices(service)
    yield from _network(service)
    yield from _kernel()


def _identity(service: Service) -> Iterator[str]:
    if service.user is None:
        yield "DynamicUser=yes"
    else:
        yield f"User={service.user}"
        yield "RemoveIPC=yes"
    yield "NoNewPrivileges=yes"
    low = "CAP_NET_BIND_SERVICE" if service.low_port else ""
    yield f"CapabilityBoundingSet={low}"
    yield f"AmbientCapabilities={low}"
    yield "UMask=0077"
    yield "ProtectSystem=strict"
    yield f"ProtectHome={'read-only' if service.homes else 'yes'}"
    for path in service.writes:
        yield f"ReadWritePaths={quoted(path, variables=False)}"
    yield "PrivateTmp=yes"
    yield "ProtectProc=invisible"
    yield "KeyringMode=private"


def _devices(service: Service) -> Iterator[str]:
    # The group may open cameras and, on a Raspberry Pi, the mailbox that knows heat and power (/dev/vcio).
    yield "DevicePolicy=closed"
    yield "SupplementaryGroups=video"
    yield "DeviceAllow=/dev/vcio rw"
    if service.camera:
        yield "DeviceAllow=char-video4linux rw"


def _network(service: Service) -> Iterator[str]:
    if service.network == "none":
        yield "PrivateNetwork=yes"
        yield "RestrictAddressFamilies=AF_UNIX"
        return
    yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"
    if service.network == "local":
        yield "IPAddressDeny=any"
        yield "IPAddressAllow=localhost"


def _kernel() -> Iterator[str]:
    for key in (
        "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectClock",
        "ProtectHostname", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality",
    ):  # fmt: skip
        yield f"{key}=yes"
    yield "SystemCallArchitectures=native"
    yield "SystemCallFilter=@system-service"
    yield "SystemCallFilter=~@privileged"
    yield "SystemCallErrorNumber=EPERM"
    yield "# No MemoryDenyWriteExecute: some runtimes write the code that they run."


def _install() -> Iterator[str]:
    yield "WantedBy=multi-user.target"


__all__ = ["NETWORKS", "Service", "command_line", "quoted", "unit_text"]
