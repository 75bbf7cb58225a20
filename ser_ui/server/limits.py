"""How much work the server accepts, and how it refuses the rest: at once, with a time to retry.

No remote client may use more than half of any resource, so that one client cannot block the others. Requests
from this machine itself (its own tools, and the person at it) are exempt from the limits per client.
"""

import ipaddress
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gradio.queueing import Event, Queue
from starlette.exceptions import HTTPException

from ser_core.audio.decode import DecodeLimits
from ser_ui.words import ENGLISH, PHRASES, Phrases

DECODE_LIMITS = DecodeLimits(max_duration_s=3600.0)  # of every recording: page, REST and MCP
ANALYSES = 2  # recordings analysed at once
MAX_FILE_BYTES = 200 * 1024**2  # an hour at 22 kHz, or compressed; the decoder sets the real limit
MAX_UPLOAD_BYTES = 1024**3  # of one upload, which may hold several files
MAX_BODY_BYTES = 4 * 1024**2  # of any other request
STALL_S = 30.0  # a request body that makes no progress for so long is given up
QUEUE_SIZE = 20  # waiting analyses
MAX_WAIT_S = 4.0  # if the first of them has waited this long, no other is accepted
RESERVATION_S = 10.0  # an uploaded recording has its place in the queue reserved for so long
MAX_UPLOADS = 16  # at once
MAX_REQUESTS = 500  # at once; each page has one or two for as long as it is open
RATE_PER_S = 10.0  # uploads and calls of one client, on average
BURST = 100  # uploads and calls that it may send at once
SHARE = 0.5  # of each resource, for one client
SOON_S, LATER_S = MAX_WAIT_S, 60.0  # values of Retry-After
MODEL = "model"  # the queue of everything that runs a model
# Addresses whose X-Forwarded-For is trusted: a Space's proxies, which are private. Each proxy appends the
# address of its client. The last public address is the visitor's; entries before it may be forged.
SPACE_PROXIES = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7"


class Refusal(HTTPException):
    """A request that is not served: status, message, and after how many seconds a retry may succeed.

    The message is the phrase `refusal.NAME` with its `values`. `detail` has it in English, for programs.
    """

    def __init__(
        self, status_code: int, name: str, retry_after_s: float | None = None, **values: object
    ) -> None:
        self._name, self._values = name, values
        headers = {"Retry-After": str(max(1, math.ceil(retry_after_s)))} if retry_after_s else None
        super().__init__(status_code, self.message(PHRASES[ENGLISH]), headers)

    def message(self, phrases: Phrases) -> str:
        """The message in one language."""
        return phrases(f"refusal.{self._name}", **self._values)


class Places:
    """A limited number of places, each taken for a while. A remote client gets half of them at most.

    `what` names them in the phrases `refusal.all_WHAT` and `refusal.my_WHAT`, which say that none is left.
    """

    def __init__(self, what: str, number: int) -> None:
        self._what, self._number = what, number
        self._taken: Counter[str] = Counter()  # by each client

    @property
    def number_taken(self) -> int:
        """How many places are taken now."""
        return self._taken.total()

    @contextmanager
    def take(self, client: str) -> Iterator[None]:
        """Takes a place for `client` while the block runs. Raises Refusal if none is left."""
        mine = self._taken[client]
        if self.number_taken >= self._number:
            raise Refusal(503, f"all_{self._what}", SOON_S, number=self._number)
        if _is_remote(client) and mine >= SHARE * self._number:
            raise Refusal(429, f"my_{self._what}", SOON_S, number=mine)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken -= Counter([client])


class Limits:
    """The server's current load, and admission of further requests. Only for the server's event loop."""

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        self.closing = False  # no new work is accepted
        self.delivering = 0  # connections through which results go out
        self.uploads = Places("uploads", MAX_UPLOADS)
        self.requests = Places("connections", MAX_REQUESTS)
        self._queue, self._clock = queue, clock
        self._rates: dict[str, tuple[float, float]] = {}  # each client's tokens, and when they were counted
        self._reservations: list[tuple[float, str]] = []  # (expiry time, client), in order of expiry

    def admit(self, client: str, upload: bool = False) -> None:
        """Raises Refusal if there is no room for one more analysis, or `client` has used up its share.

        `client`: a `client_name`. An `upload` is refused where its analysis would be, so that no recording is
        sent in vain.
        """
        if self.closing:
            raise Refusal(503, "closing", LATER_S)
        if _is_remote(client):
            self._count(client)
        reserved = self._reserved_clients()
        if client in reserved and not upload:
            return
        waiting = self._waiting()
        if _is_remote(client):
            mine = sum(_client_of(event) == client for event in waiting + self._running())
            mine += reserved.count(client)
            if mine >= SHARE * QUEUE_SIZE:
                raise Refusal(429, "my_share", SOON_S, number=mine)
        ahead = len(waiting) + len(reserved) + self.uploads.number_taken
        if ahead >= QUEUE_SIZE or self._wait_s(waiting) >= MAX_WAIT_S:
            raise Refusal(503, "busy", SOON_S)

    def reserve(self, client: str) -> None:
        """Reserves a place for the analysis of the recording that `client` has just uploaded."""
        self._reservations.append((self._clock() + RESERVATION_S, client))

    def release(self, client: str) -> None:
        """Gives up a reservation of `client`, whose analysis is in the queue now."""
        reserved = self._reserved_clients()
        if client in reserved:
            del self._reservations[reserved.index(client)]

    @property
    def busy(self) -> bool:
        """Whether any analysis waits, runs or is being delivered."""
        return bool(self._waiting() or self._running() or self.delivering)

    def _wait_s(self, waiting: list[Event]) -> float:
        """For how long the first waiting event that needs a model has waited, in s."""
        enqueue_times = [event.enqueue_time for event in waiting if event.concurrency_id == MODEL]
        return self._clock() - min(enqueue_times) if enqueue_times else 0.0

    def _count(self, client: str) -> None:
        """Takes one token of `client`, of which RATE_PER_S come back. Raises Refusal if none is left."""
        now = self._clock()
        tokens, counted_at = self._rates.get(client, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - counted_at) * RATE_PER_S)
        if tokens < 1:
            wait_s = (1 - tokens) / RATE_PER_S
            raise Refusal(429, "too_fast", wait_s, rate=f"{RATE_PER_S:g}")
        self._rates[client] = tokens - 1, now
        if len(self._rates) > MAX_REQUESTS:  # forget clients whose tokens are complete again
            refilled_since = now - BURST / RATE_PER_S
            self._rates = {name: rate for name, rate in self._rates.items() if rate[1] > refilled_since}

    def _reserved_clients(self) -> list[str]:
        """The client of each reservation that has not expired."""
        now = self._clock()
        self._reservations = [reservation for reservation in self._reservations if reservation[0] > now]
        return [client for _, client in self._reservations]

    def _waiting(self) -> list[Event]:
        queues = list(self._queue.event_queue_per_concurrency_id.values())
        return [event for waiting in queues for event in waiting.queue]

    def _running(self) -> list[Event]:
        return [event for job in self._queue.active_jobs if job for event in job]


def waiting_events(queue: Queue, concurrency_id: str, page: str | None) -> list[Event]:
    """The waiting events of `page` (Gradio's session hash) in the queue `concurrency_id`."""
    waiting = queue.event_queue_per_concurrency_id.get(concurrency_id)
    return [event for event in list(waiting.queue) if event.session_hash == page] if waiting else []


def client_name(host: str) -> str:
    """The client behind an address: all addresses of an IPv6 subscriber (/64) are one client.

    >>> client_name("2001:db8::1:2"), client_name("203.0.113.7")
    ('2001:db8::', '203.0.113.7')
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4 or address.is_loopback:
        return str(address)
    return str(ipaddress.ip_network((int(address), 64), strict=False).network_address)


def _is_remote(client: str) -> bool:
    try:
        return not ipaddress.ip_address(client).is_loopback
    except ValueError:
        return True


def _client_of(event: Event) -> str:
    client = event.request.client
    return client_name(client.host if client else "")
