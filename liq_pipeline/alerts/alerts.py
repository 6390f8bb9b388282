"""What is worth waking somebody for, when to keep quiet, and how it is sent.

Order of severity: a run failed, data is stale, price is near a zone (the larger zone first). The same thing is not said
again during its cool-down; a cap per UTC day holds back zones only, never what is more severe.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from liq_pipeline.alerts.zones import Reached, Zone, usd
from liq_pipeline.errors import SettingsError
from liq_pipeline.system.proxies import exempt_this_machine
from liq_pipeline.system.storage import write_whole

MOST_REMEMBERED = 500
Kind = Literal["failure", "stale", "zone"]
SEVERITY: dict[Kind, int] = {"failure": 0, "stale": 1, "zone": 2}


@dataclass(frozen=True)
class Alert:
    """Something to say.

    Attributes:
        kind: decides the severity.
        subject: what it is about; the same subject cools down.
        title, text: what people read, on a phone.
        span: for a zone: its edges. A zone that overlaps one of the same subject is the same zone.
        weight: among equals, the larger is the more severe.
    """

    kind: Kind
    subject: str
    title: str
    text: str
    span: tuple[float, float] | None = None
    weight: float = 0.0

    def is_about(self, said: dict[str, Any]) -> bool:
        """Tell whether something that was said is about the same thing."""
        if said["subject"] != self.subject:
            return False
        if self.span is None or said["span"] is None:
            return True
        return bool(self.span[0] <= said["span"][1] and said["span"][0] <= self.span[1])


@dataclass
class Memory:
    """What was said, and what could not be delivered yet. Kept in a file, bounded."""

    said: list[dict[str, Any]] = field(default_factory=list)
    pending: list[dict[str, Any]] = field(default_factory=list)
    day: str = ""
    said_today: int = 0


@dataclass
class Delivery:
    """What became of alerts: sent, undelivered (tried again next time), cooling down, held back by the cap."""

    sent: list[Alert] = field(default_factory=list)
    undelivered: list[Alert] = field(default_factory=list)
    cooling: list[Alert] = field(default_factory=list)
    capped: list[Alert] = field(default_factory=list)

    def __str__(self) -> str:
        parts = {
            "sent": self.sent, "could not be delivered, tried again": self.undelivered, "said before": self.cooling,
            "held back by the daily cap": self.capped,
        }  # fmt: skip
        return "; ".join(f"{len(alerts)} {what}" for what, alerts in parts.items() if alerts) or "nothing to say"


class AlertSender:
    """Sends alerts, and remembers what was said.

    Args:
        addresses: Apprise addresses; empty: nobody listens.
        memory: file that remembers, shared by all sensors.
        cooldown: silence about the same thing.
        daily_cap: most alerts a UTC day; failures and stale data pass it.
    """

    def __init__(self, addresses: str, memory: Path, cooldown: timedelta, daily_cap: int) -> None:
        self.addresses, self.memory, self.cooldown, self.daily_cap = addresses, memory, cooldown, daily_cap

    def __repr__(self) -> str:  # addresses hold secrets
        return f"AlertSender({'addresses set' if self.addresses else 'no address'})"

    @property
    def is_on(self) -> bool:
        """Whether anybody listens."""
        return bool(self.addresses.strip())

    def tell(self, alerts: Sequence[Alert], now: datetime) -> Delivery:
        """Send what is new, the most severe first; what could not be delivered before is tried again.

        Raises:
            SettingsError: an address that cannot be read.
        """
        told = Delivery()
        senders = open_addresses(self.addresses)
        with self._remembering(now) as memory:
            again = [Alert(**{**item, "span": item["span"] and tuple(item["span"])}) for item in memory.pending]
            memory.pending = []
            for alert in sorted([*again, *alerts], key=lambda alert: (SEVERITY[alert.kind], -alert.weight)):
                if any(alert.is_about(said) for said in memory.said):
                    told.cooling.append(alert)
                elif alert.kind == "zone" and memory.said_today >= self.daily_cap:
                    told.capped.append(alert)
                elif _delivered(alert, senders):
                    told.sent.append(alert)
                    memory.said.append({"subject": alert.subject, "span": alert.span, "at": now.isoformat()})
                    memory.said_today += 1
                elif not any(alert.is_about(item) for item in memory.pending):
                    told.undelivered.append(alert)
                    memory.pending.append(asdict(alert))
        return told

    def remembered_of(self, symbol: str) -> int:
        """Return how many alerts about a symbol are remembered: said lately, or not delivered yet."""
        memory = self._read()
        return sum(_is_of(item, symbol) for item in (*memory.said, *memory.pending))

    def forget(self, symbol: str) -> None:
        """Forget what was said about a symbol, and what was still to be said."""
        if not self.memory.exists():
            return
        with self._kept() as memory:
            memory.said = [item for item in memory.said if not _is_of(item, symbol)]
            memory.pending = [item for item in memory.pending if not _is_of(item, symbol)]

    @contextmanager
    def _remembering(self, now: datetime) -> Iterator[Memory]:
        with self._kept() as memory:
            memory.said = [item for item in memory.said if now - datetime.fromisoformat(item["at"]) < self.cooldown]
            if memory.day != f"{now:%Y-%m-%d}":
                memory.day, memory.said_today = f"{now:%Y-%m-%d}", 0
            yield memory

    @contextmanager
    def _kept(self) -> Iterator[Memory]:
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.memory.with_suffix(".lock")):
            memory = self._read()
            yield memory
            memory.said, memory.pending = memory.said[-MOST_REMEMBERED:], memory.pending[-MOST_REMEMBERED:]
            write_whole(self.memory, json.dumps(asdict(memory)).encode())

    def _read(self) -> Memory:
        try:
            return Memory(**json.loads(self.memory.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return Memory()


def _is_of(item: dict[str, Any], symbol: str) -> bool:
    """Tell whether something remembered is about a symbol: subjects are `stale:S`, `zone:S:side`, `failure:job:S`."""
    return symbol in str(item["subject"]).split(":")[1:]


def _delivered(alert: Alert, senders: list[Any]) -> bool:
    """Send to every address; tell whether one took it."""
    taken = [sender.notify(title=alert.title, body=alert.text) for sender in senders]
    return any(taken)


def open_addresses(addresses: str) -> list[Any]:
    """Return something to send with, per address.

    Raises:
        SettingsError: none is given, or one cannot be read; the message holds no secret.
    """
    from apprise import Apprise
    from apprise.utils.parse import parse_urls

    if not addresses.strip():
        raise SettingsError(
            "no address for alerts is set",
            expected="Apprise addresses, such as discord://…, tgram://…, slack://…, mailto://…, json://host/path",
            remedy="set LIQ_ALERT_URLS",
        )
    exempt_this_machine()
    wanted = parse_urls(addresses) or []
    opened = [Apprise.instantiate(address) for address in wanted]
    if not opened or not all(opened):
        kinds = ", ".join(f"{a.split(':', 1)[0]}:…" if "://" in a else "…" for a in wanted) or "…"  # no secrets
        raise SettingsError(
            f"an address in LIQ_ALERT_URLS cannot be used (given: {kinds})",
            expected="Apprise addresses, such as discord://webhook_id/webhook_token",
            remedy="see https://github.com/caronc/apprise for the form of each service",
        )
    return opened


def stale_alert(symbol: str, as_of: datetime, now: datetime, limit: timedelta) -> Alert | None:
    """Return an alert if the newest bar is older than the limit."""
    age = now - as_of
    if age <= limit:
        return None
    hours, most = age / timedelta(hours=1), limit / timedelta(hours=1)
    return Alert(
        "stale",
        f"stale:{symbol}",
        f"{symbol}: data {hours:.0f} h old",
        f"The newest bar is of {as_of:%Y-%m-%d %H:%M} UTC; the limit is {most:g} h. The map shows a time that is over.",
        weight=hours,
    )


def zone_alert(
    symbol: str, zone: Zone, price: float, as_of: datetime, timeframe: str, reached: Reached | None = None
) -> Alert:
    """Return an alert for a zone near the price, with what gets liquidated until its far edge where that is known."""
    where = "below" if zone.side == "long" else "above"
    reach = f"{zone.distance_pct:.1f} % {where}" if zone.distance_pct >= 0.05 else f"right {where}"
    return Alert(
        "zone",
        f"zone:{symbol}:{zone.side}",
        f"{symbol}: est. {usd(zone.notional_usd)} {zone.side}s {reach}",
        f"Estimated {zone.side} liquidations of {usd(zone.notional_usd)} between {zone.price_low:,.6g} and "
        f"{zone.price_high:,.6g}; price {price:,.6g} at {as_of:%H:%M} UTC. Positions of {timeframe}. "
        f"An estimate of exposure, not a forecast.{f' {reached}' if reached else ''}",
        span=(zone.price_low, zone.price_high),
        weight=zone.notional_usd,
    )
