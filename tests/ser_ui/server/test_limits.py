"""Which requests are admitted and which refused, and with what message; no client blocks the others."""

from contextlib import ExitStack

import pytest
from fastapi import Request
from gradio.block_function import BlockFunction
from gradio.queueing import Event, EventQueue, Queue

from ser_ui.server import limits
from ser_ui.server.limits import (
    BURST,
    MAX_WAIT_S,
    QUEUE_SIZE,
    RATE_PER_S,
    RESERVATION_S,
    Limits,
    Places,
    Refusal,
)

LOCAL, REMOTE, OTHER = "127.0.0.1", "203.0.113.7", "198.51.100.2"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Server:
    """The limits of a server, and Gradio's own queue, in which analyses wait."""

    def __init__(self) -> None:
        self.queue = Queue(True, 1, 1.0, None, blocks=None)
        self.fn = BlockFunction(None, [], [], True, True, False, [], 0, concurrency_id=limits.MODEL)
        self.clock = Clock()
        self.limits = Limits(self.queue, self.clock)
        self.waiting = self.queue.event_queue_per_concurrency_id[limits.MODEL] = EventQueue(limits.MODEL, 1)

    def wait(self, client: str = LOCAL) -> None:
        request = Request({"type": "http", "client": (client, 1)})
        self.waiting.queue.append(Event(None, self.fn, request, None))
        self.waiting.queue[-1].enqueue_time = self.clock()


@pytest.fixture
def server() -> Server:
    return Server()


def refusal(server: Server, client: str = LOCAL) -> Refusal:
    with pytest.raises(Refusal) as refused:
        server.limits.admit(client)
    return refused.value


def test_a_full_queue_says_so_and_when_to_come_back(server):
    for _ in range(QUEUE_SIZE):
        server.limits.admit(LOCAL)
        server.wait()
    refused = refusal(server)
    assert refused.status_code == 503
    assert "busy" in refused.detail
    assert int(refused.headers["Retry-After"]) == MAX_WAIT_S
    server.waiting.queue.pop()
    server.limits.admit(LOCAL)


def test_an_upload_that_would_find_the_queue_full_is_refused_before_it_is_sent(server):
    for _ in range(QUEUE_SIZE - 1):
        server.wait()
    server.limits.admit(LOCAL, upload=True)
    with server.limits.uploads.take(LOCAL), pytest.raises(Refusal):
        server.limits.admit(OTHER, upload=True)


def test_who_was_let_in_with_an_upload_is_let_in_with_its_analysis(server):
    for _ in range(QUEUE_SIZE - 1):
        server.wait()
    server.limits.reserve(LOCAL)
    server.clock.now += RESERVATION_S - 1  # the first event has waited for too long
    assert refusal(server, OTHER).status_code == 503
    with pytest.raises(Refusal):
        server.limits.admit(LOCAL, upload=True)
    server.limits.admit(LOCAL)
    server.limits.release(LOCAL)
    assert refusal(server, LOCAL).status_code == 503


def test_a_place_that_is_kept_is_taken_and_goes_to_others_when_nobody_comes(server):
    for _ in range(QUEUE_SIZE):
        server.limits.admit(OTHER, upload=True)
        server.limits.reserve(LOCAL)
    assert refusal(server, OTHER).status_code == 503
    server.clock.now += RESERVATION_S
    server.limits.admit(OTHER)


def test_places_that_are_kept_count_as_a_clients_own(server):
    for _ in range(QUEUE_SIZE // 2):
        server.limits.admit(REMOTE, upload=True)
        server.limits.reserve(REMOTE)
    with pytest.raises(Refusal) as refused:
        server.limits.admit(REMOTE, upload=True)
    assert refused.value.status_code == 429
    server.limits.admit(OTHER, upload=True)


def test_nobody_is_let_in_behind_one_who_has_waited_for_long(server):
    """However few events wait, because the cost of an analysis is not known beforehand."""
    server.wait()
    server.clock.now += MAX_WAIT_S - 0.1
    server.limits.admit(LOCAL)
    server.clock.now += 0.1
    assert refusal(server).status_code == 503
    server.waiting.queue.clear()
    server.limits.admit(LOCAL)


def test_a_client_has_half_of_the_queue_and_the_others_the_rest(server):
    for _ in range(QUEUE_SIZE // 2):
        server.limits.admit(REMOTE)
        server.wait(REMOTE)
    refused = refusal(server, REMOTE)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"]
    server.limits.admit(OTHER)
    server.limits.admit(LOCAL)


def test_what_runs_counts_as_well_as_what_waits(server):
    for _ in range(QUEUE_SIZE // 2):
        server.wait(REMOTE)
    server.queue.active_jobs = [None, list(server.waiting.queue)]
    server.waiting.queue.clear()
    assert refusal(server, REMOTE).status_code == 429


def test_a_client_that_sends_too_fast_is_slowed_down_and_nobody_else(server):
    for _ in range(BURST):
        server.limits.admit(REMOTE)
    refused = refusal(server, REMOTE)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    server.limits.admit(OTHER)
    server.clock.now += 1.0
    for _ in range(int(RATE_PER_S)):
        server.limits.admit(REMOTE)
    assert refusal(server, REMOTE).status_code == 429


def test_this_machine_may_send_as_fast_as_it_likes(server):
    for _ in range(2 * BURST):
        assert server.limits.admit(LOCAL) is None


def test_clients_that_went_away_are_forgotten(server):
    for number in range(3 * limits.MAX_REQUESTS):
        server.clock.now += 1.0
        server.limits.admit(f"client {number}")
    assert len(server.limits._rates) <= limits.MAX_REQUESTS + 1


def test_a_server_that_is_being_stopped_begins_nothing(server):
    server.limits.closing = True
    assert refusal(server).status_code == 503
    assert "shutting down" in refusal(server).detail


def test_places_are_given_back_and_half_of_them_is_the_most_for_one():
    places = Places("uploads", 4)
    with ExitStack() as stack:
        for client in (REMOTE, REMOTE):
            stack.enter_context(places.take(client))
        with pytest.raises(Refusal, match="You have 2 uploads") as mine, places.take(REMOTE):
            pass
        for client in (OTHER, LOCAL):
            stack.enter_context(places.take(client))
        with pytest.raises(Refusal, match="All 4 uploads") as all_taken, places.take(LOCAL):
            pass
        assert (mine.value.status_code, all_taken.value.status_code) == (429, 503)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(places.take(LOCAL))


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_has_several_names(client):
    places = Places("uploads", 4)  # of which a remote client gets two
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(places.take(limits.client_name(client)))
        with pytest.raises(limits.Refusal, match="All 4 uploads"), places.take(limits.client_name(client)):
            pass


def test_a_subscriber_with_many_addresses_is_one_client():
    assert limits.client_name("2001:db8::1") == limits.client_name("2001:db8::ffff:1")
    assert limits.client_name("2001:db8::1") != limits.client_name("2001:db8:0:1::1")


def test_it_is_told_whether_a_page_waits_for_its_turn(server):
    server.wait()
    own_page = server.waiting.queue[-1].session_hash
    assert limits.waiting_events(server.queue, limits.MODEL, own_page)
    assert not limits.waiting_events(server.queue, limits.MODEL, "another page")
    assert not limits.waiting_events(server.queue, "another queue", own_page)
    server.waiting.queue.clear()
    assert not limits.waiting_events(server.queue, limits.MODEL, own_page)
