"""How much the server takes on, and what it says to those beyond: at once, and when to come back.

Nobody from elsewhere gets more than half of anything, so that one client cannot shut the others out.
Requests from this machine itself (its own tools, and the person at it) are not counted as one client's.
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

DECODE_LIMITS = DecodeLimits(max_duration_s=3600.0)  # of every recording, whichever way it came
ANALYSES = 2  # recordings analysed at once
MAX_FILE_BYTES = 200 * 1024**2  # an hour at 22 kHz, or compressed; the decoder sets the real limit
MAX_UPLOAD_BYTES = 1024**3  # of one upload, which may hold several files
MAX_BODY_BYTES = 4 * 1024**2  # of any other request
STALL_S = 30.0  # a request that brings nothing for so long is given up
QUEUE_SIZE = 20  # analyses that wait for their turn
MAX_WAIT_S = 4.0  # where the first of them has waited this long, nobody is let in behind it
PROMISED_S = 10.0  # for so long a recording that was uploaded has a place for its analysis
MAX_UPLOADS = 16  # at once
MAX_REQUESTS = 500  # at once; each page has one or two for as long as it is open
RATE_PER_S = 10.0  # uploads and calls of one client, in the long run
BURST = 100  # that it may send at once
SHARE = 0.5  # of all there is for one client
SOON_S, LATER_S = MAX_WAIT_S, 60.0  # when to come back
MODEL = "model"  # the queue of everything that runs a model
# Who may say for whom a request is: a Space's proxies, which have private addresses. Each adds to
# X-Forwarded-For who asked it: the last public address is the visitor's. What stands before it, the visitor
# may have made up.
SPACE_PROXIES = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7"


class Refusal(HTTPException):
    """Why a request is not served: a status, words, and where it helps when to come back (s).

    The words are `refusal.NAME` of the page with their `values`; `detail` has them in English, for programs.
    """

    def __init__(
        self, status_code: int, name: str, retry_after_s: float | None = None, **values: object
    ) -> None:
        self._name, self._values = name, values
        headers = {"Retry-After": str(max(1, math.ceil(retry_after_s)))} if retry_after_s else None
        super().__init__(status_code, self.told(PHRASES[ENGLISH]), headers)

    def told(self, phrases: Phrases) -> str:
        """What to say, in one language."""
        return phrases(f"refusal.{self._name}", **self._values)


class Places:
    """A number of places, each taken for a while; a stranger gets half of them at most.

    `what` they are: `refusal.all_WHAT` and `refusal.my_WHAT` say that there is none left.
    """

    def __init__(self, what: str, number: int) -> None:
        self._what, self._number = what, number
        self._taken: Counter[str] = Counter()  # by each client

    @property
    def number_taken(self) -> int:
        """How many are taken now."""
        return self._taken.total()

    @contextmanager
    def taken(self, client: str) -> Iterator[None]:
        """Takes a place of `client_name`; Refusal if there is none."""
        mine = self._taken[client]
        if self.number_taken >= self._number:
            raise Refusal(503, f"all_{self._what}", SOON_S, number=self._number)
        if _is_stranger(client) and mine >= SHARE * self._number:
            raise Refusal(429, f"my_{self._what}", SOON_S, number=mine)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken -= Counter([client])


class Limits:
    """What is under way, and whether there is room for more. Used on the server's event loop alone."""

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        self.closing = False  # nothing new is begun
        self.delivering = 0  # connections through which results go out
        self.uploads = Places("uploads", MAX_UPLOADS)
        self.requests = Places("connections", MAX_REQUESTS)
        self._queue, self._clock = queue, clock
        self._rates: dict[str, tuple[float, float]] = {}  # a client's tokens, and when they were counted
        self._promises: list[tuple[float, str]] = []  # until when, and to whom, in that order

    def admit(self, client: str, upload: bool = False) -> None:
        """Refusal where there is no room for one more analysis, or `client_name` has had its share.

        An `upload` is refused where its analysis would be: nobody sends a recording to be turned away then.
        """
        if self.closing:
            raise Refusal(503, "closing", LATER_S)
        if _is_stranger(client):
            self._count(client)
        promised = self._promised()
        if client in promised and not upload:
            return
        waiting = self._waiting()
        if _is_stranger(client):
            mine = sum(_client_of(event) == client for event in waiting + self._running())
            mine += promised.count(client)
            if mine >= SHARE * QUEUE_SIZE:
                raise Refusal(429, "my_share", SOON_S, number=mine)
        ahead = len(waiting) + len(promised) + self.uploads.number_taken
        if ahead >= QUEUE_SIZE or self._wait_s(waiting) >= MAX_WAIT_S:
            raise Refusal(503, "busy", SOON_S)

    def promise(self, client: str) -> None:
        """Keeps a place for the analysis of what `client_name` has just uploaded."""
        self._promises.append((self._clock() + PROMISED_S, client))

    def keep_promise(self, client: str) -> None:
        """Says that an analysis of `client_name` is in the queue: no other place is kept for it."""
        promised = self._promised()
        if client in promised:
            del self._promises[promised.index(client)]

    @property
    def busy(self) -> bool:
        """Whether any analysis waits, runs, or is on its way to whoever asked for it."""
        return bool(self._waiting() or self._running() or self.delivering)

    def _wait_s(self, waiting: list[Event]) -> float:
        """How long the first of those that need a model has waited."""
        since = [event.enqueue_time for event in waiting if event.concurrency_id == MODEL]
        return self._clock() - min(since) if since else 0.0

    def _count(self, client: str) -> None:
        """Takes one of `client`'s tokens, of which some come back each second; Refusal if none is left."""
        now = self._clock()
        tokens, at = self._rates.get(client, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - at) * RATE_PER_S)
        if tokens < 1:
            wait_s = (1 - tokens) / RATE_PER_S
            raise Refusal(429, "too_fast", wait_s, rate=f"{RATE_PER_S:g}")
        self._rates[client] = tokens - 1, now
        if len(self._rates) > MAX_REQUESTS:  # whoever was away for long enough has all of them again
            long_ago = now - BURST / RATE_PER_S
            self._rates = {one: rate for one, rate in self._rates.items() if rate[1] > long_ago}

    def _promised(self) -> list[str]:
        """For whom places are kept."""
        self._promises = [promise for promise in self._promises if promise[0] > self._clock()]
        return [client for _, client in self._promises]

    def _waiting(self) -> list[Event]:
        return [
            event for one in list(self._queue.event_queue_per_concurrency_id.values()) for event in one.queue
        ]

    def _running(self) -> list[Event]:
        return [event for job in self._queue.active_jobs if job for event in job]


def waiting(queue: Queue, concurrency_id: str, page: str | None) -> list[Event]:
    """The events of `page` (Gradio's session hash) that wait for their turn."""
    found = queue.event_queue_per_concurrency_id.get(concurrency_id)
    return [event for event in list(found.queue) if event.session_hash == page] if found else []


def client_name(host: str) -> str:
    """Who sends from an address: all addresses of an IPv6 subscriber (/64) are one client's.

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


def _is_stranger(client: str) -> bool:
    try:
        return not ipaddress.ip_address(client).is_loopback
    except ValueError:
        return True


def _client_of(event: Event) -> str:
    client = event.request.client
    return client_name(client.host if client else "")
