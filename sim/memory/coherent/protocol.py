"""MESI and MOESI as data: in this state, on this event, go to that state and do those things.

A pair that is not in its table cannot happen; if it does, that is a LawViolationError. MOESI is
MESI with the rows in which a dirty line is shared without telling memory.

Source: Nagarajan, Sorin, Hill and Wood, A Primer on Memory Consistency and Cache Coherence, 2nd
edition, chapters 7 (snooping) and 8 (directory); transient states are named as there. The home
here keeps a line to itself until the requester has reported back, which spares the states that
let a transaction overlap the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sim.errors import LawViolationError


class State(StrEnum):
    """Of a line in a private cache; two letters are the way from one to the other."""

    I = "I"  # noqa: E741 - the protocol's name
    S = "S"
    E = "E"
    O = "O"  # noqa: E741 - the protocol's name
    M = "M"
    IS = "IS"
    """Waits for data to read."""
    IM = "IM"
    """Waits for data to write, and maybe for acknowledgements."""
    IM_A = "IM_A"
    """Has the data, waits for acknowledgements."""
    SM = "SM"
    """Reads on, waits for leave to write."""
    OM = "OM"
    """As SM, and still gives others the data."""
    MI = "MI"
    """Dirty line on its way out; gives others the data."""
    EI = "EI"
    """Clean sole copy on its way out."""
    OI = "OI"
    """Dirty shared line on its way out."""
    SI = "SI"
    """On its way out, and by now others' too."""
    II = "II"
    """On its way out, and by now worthless."""


class Home(StrEnum):
    """Of a line at its home."""

    UNCACHED = "uncached"
    SHARED = "shared"
    EXCLUSIVE = "exclusive"
    """One cache has it, clean or dirty."""
    OWNED = "owned"
    """One cache has it dirty and answers for it; others read."""


class On(StrEnum):
    """What can happen to a line; the messages among them go by these names too."""

    LOAD = "load"
    STORE = "store"
    EVICT = "evict"
    READ = "read request"
    WRITE = "write request"
    UPGRADE = "upgrade request"
    PUT = "put"
    STALE_PUT = "put by a former owner"
    FORWARD_READ = "forwarded read"
    FORWARD_WRITE = "forwarded write"
    INVALIDATE = "invalidate"
    DATA = "data"
    DATA_PENDING = "data, acknowledgements pending"
    DATA_ALONE = "data, sole copy"
    GRANT = "grant"
    GRANT_PENDING = "grant, acknowledgements pending"
    ACK = "acknowledgement"
    LAST_ACK = "last acknowledgement"
    PUT_ACK = "put acknowledged"
    UNBLOCK = "unblock"
    WROTE_BACK = "owner wrote back"
    CLEANED = "owner was clean"
    KEPT = "owner keeps it dirty"


class Do(StrEnum):
    """What a step does beside changing state."""

    PERFORM = "perform the access"
    ASK_READ = "ask to read"
    ASK_WRITE = "ask to write"
    ASK_UPGRADE = "ask for leave to write"
    PUT_DATA = "put with data"
    PUT_CLEAN = "put without data"
    GIVE = "give data to the requester"
    ACK = "acknowledge to the requester"
    UNBLOCK = "tell home it is done"
    TELL_WROTE_BACK = "write back to home"
    TELL_CLEANED = "tell home it was clean"
    TELL_KEPT = "tell home it stays dirty here"
    SEND = "send data"
    SEND_ALONE = "send data, sole copy"
    SEND_GRANT = "send grant"
    FORWARD = "forward to the owner"
    INVALIDATE = "invalidate the other sharers"
    SHARE = "note the requester as a sharer"
    OWN = "note the requester as owner"
    UNSHARE = "forget the sender as a sharer"
    DISOWN = "forget the owner"
    OWNER_SHARES = "note the owner as a sharer"
    TAKE = "take the data into memory"
    SEND_PUT_ACK = "acknowledge the put"


CacheTable = Mapping[tuple[State, On], tuple[State, tuple[Do, ...]]]
HomeTable = Mapping[tuple[Home, On], tuple[Home, tuple[Do, ...]]]

READABLE = frozenset({State.S, State.E, State.O, State.M, State.SM, State.OM})
WRITABLE = frozenset({State.E, State.M})
STABLE = frozenset({State.I, State.S, State.E, State.O, State.M})

_HITS: CacheTable = {
    (State.S, On.LOAD): (State.S, (Do.PERFORM,)),
    (State.E, On.LOAD): (State.E, (Do.PERFORM,)),
    (State.M, On.LOAD): (State.M, (Do.PERFORM,)),
    (State.E, On.STORE): (State.M, (Do.PERFORM,)),
    (State.M, On.STORE): (State.M, (Do.PERFORM,)),
    (State.I, On.LOAD): (State.IS, (Do.ASK_READ,)),
    (State.I, On.STORE): (State.IM, (Do.ASK_WRITE,)),
    (State.S, On.STORE): (State.SM, (Do.ASK_UPGRADE,)),
    (State.S, On.EVICT): (State.I, ()),
}
_OWNED_HITS: CacheTable = {
    (State.O, On.LOAD): (State.O, (Do.PERFORM,)),
    (State.O, On.STORE): (State.OM, (Do.ASK_UPGRADE,)),
}

_DONE = (Do.PERFORM, Do.UNBLOCK)
DIRECTORY_MESI: CacheTable = {
    **_HITS,
    (State.E, On.EVICT): (State.EI, (Do.PUT_CLEAN,)),
    (State.M, On.EVICT): (State.MI, (Do.PUT_DATA,)),
    (State.I, On.INVALIDATE): (State.I, (Do.ACK,)),
    (State.S, On.INVALIDATE): (State.I, (Do.ACK,)),
    (State.E, On.FORWARD_READ): (State.S, (Do.GIVE, Do.TELL_CLEANED)),
    (State.M, On.FORWARD_READ): (State.S, (Do.GIVE, Do.TELL_WROTE_BACK)),
    (State.E, On.FORWARD_WRITE): (State.I, (Do.GIVE,)),
    (State.M, On.FORWARD_WRITE): (State.I, (Do.GIVE,)),
    (State.IS, On.DATA): (State.S, _DONE),
    (State.IS, On.DATA_ALONE): (State.E, _DONE),
    (State.IS, On.INVALIDATE): (State.IS, (Do.ACK,)),
    (State.IM, On.DATA): (State.M, _DONE),
    (State.IM, On.DATA_PENDING): (State.IM_A, ()),
    (State.IM, On.ACK): (State.IM, ()),
    (State.IM, On.INVALIDATE): (State.IM, (Do.ACK,)),
    (State.IM_A, On.ACK): (State.IM_A, ()),
    (State.IM_A, On.LAST_ACK): (State.M, _DONE),
    (State.SM, On.GRANT): (State.M, _DONE),
    (State.SM, On.GRANT_PENDING): (State.IM_A, ()),
    (State.SM, On.ACK): (State.SM, ()),
    (State.SM, On.INVALIDATE): (State.IM, (Do.ACK,)),
    (State.MI, On.FORWARD_READ): (State.SI, (Do.GIVE, Do.TELL_WROTE_BACK)),
    (State.MI, On.FORWARD_WRITE): (State.II, (Do.GIVE,)),
    (State.MI, On.PUT_ACK): (State.I, ()),
    (State.EI, On.FORWARD_READ): (State.SI, (Do.GIVE, Do.TELL_CLEANED)),
    (State.EI, On.FORWARD_WRITE): (State.II, (Do.GIVE,)),
    (State.EI, On.PUT_ACK): (State.I, ()),
    (State.SI, On.INVALIDATE): (State.II, (Do.ACK,)),
    (State.SI, On.PUT_ACK): (State.I, ()),
    (State.II, On.PUT_ACK): (State.I, ()),
}
DIRECTORY_MOESI: CacheTable = {
    **DIRECTORY_MESI,
    **_OWNED_HITS,
    (State.M, On.FORWARD_READ): (State.O, (Do.GIVE, Do.TELL_KEPT)),
    (State.MI, On.FORWARD_READ): (State.OI, (Do.GIVE, Do.TELL_KEPT)),
    (State.O, On.EVICT): (State.OI, (Do.PUT_DATA,)),
    (State.O, On.FORWARD_READ): (State.O, (Do.GIVE, Do.TELL_KEPT)),
    (State.O, On.FORWARD_WRITE): (State.I, (Do.GIVE,)),
    (State.OI, On.FORWARD_READ): (State.OI, (Do.GIVE, Do.TELL_KEPT)),
    (State.OI, On.FORWARD_WRITE): (State.II, (Do.GIVE,)),
    (State.OI, On.PUT_ACK): (State.I, ()),
    (State.SM, On.DATA): (State.M, _DONE),
    (State.SM, On.DATA_PENDING): (State.IM_A, ()),
    (State.OM, On.GRANT): (State.M, _DONE),
    (State.OM, On.GRANT_PENDING): (State.IM_A, ()),
    (State.OM, On.ACK): (State.OM, ()),
    (State.OM, On.FORWARD_READ): (State.OM, (Do.GIVE, Do.TELL_KEPT)),
    (State.OM, On.FORWARD_WRITE): (State.IM, (Do.GIVE,)),
}
DIRECTORY = {"MESI": DIRECTORY_MESI, "MOESI": DIRECTORY_MOESI}

HOME: HomeTable = {
    (Home.UNCACHED, On.READ): (Home.EXCLUSIVE, (Do.SEND_ALONE, Do.OWN)),
    (Home.UNCACHED, On.WRITE): (Home.EXCLUSIVE, (Do.SEND, Do.OWN)),
    (Home.SHARED, On.READ): (Home.SHARED, (Do.SEND, Do.SHARE)),
    (Home.SHARED, On.WRITE): (Home.EXCLUSIVE, (Do.INVALIDATE, Do.SEND, Do.OWN)),
    (Home.SHARED, On.UPGRADE): (Home.EXCLUSIVE, (Do.INVALIDATE, Do.SEND_GRANT, Do.OWN)),
    (Home.EXCLUSIVE, On.READ): (Home.EXCLUSIVE, (Do.FORWARD, Do.SHARE)),
    (Home.EXCLUSIVE, On.WRITE): (Home.EXCLUSIVE, (Do.FORWARD, Do.OWN)),
    (Home.OWNED, On.READ): (Home.OWNED, (Do.FORWARD, Do.SHARE)),
    (Home.OWNED, On.WRITE): (Home.EXCLUSIVE, (Do.INVALIDATE, Do.FORWARD, Do.OWN)),
    (Home.OWNED, On.UPGRADE): (Home.EXCLUSIVE, (Do.INVALIDATE, Do.SEND_GRANT, Do.OWN)),
    (Home.EXCLUSIVE, On.WROTE_BACK): (Home.SHARED, (Do.TAKE, Do.OWNER_SHARES)),
    (Home.EXCLUSIVE, On.CLEANED): (Home.SHARED, (Do.OWNER_SHARES,)),
    (Home.EXCLUSIVE, On.KEPT): (Home.OWNED, ()),
    (Home.OWNED, On.KEPT): (Home.OWNED, ()),
    (Home.EXCLUSIVE, On.PUT): (Home.UNCACHED, (Do.TAKE, Do.DISOWN, Do.SEND_PUT_ACK)),
    (Home.OWNED, On.PUT): (Home.SHARED, (Do.TAKE, Do.DISOWN, Do.SEND_PUT_ACK)),
    **{(state, On.STALE_PUT): (state, (Do.UNSHARE, Do.SEND_PUT_ACK)) for state in Home},
}

SNOOPING_MESI: CacheTable = {
    **_HITS,
    (State.E, On.EVICT): (State.I, ()),
    (State.M, On.EVICT): (State.I, (Do.PUT_DATA,)),
    (State.IS, On.DATA): (State.S, (Do.PERFORM,)),
    (State.IS, On.DATA_ALONE): (State.E, (Do.PERFORM,)),
    (State.IM, On.DATA): (State.M, (Do.PERFORM,)),
    (State.SM, On.GRANT): (State.M, (Do.PERFORM,)),
    **{
        (state, on): (state, ())
        for state in (State.IS, State.IM)
        for on in (On.READ, On.WRITE, On.UPGRADE)
    },
    (State.S, On.READ): (State.S, ()),
    (State.S, On.WRITE): (State.I, ()),
    (State.S, On.UPGRADE): (State.I, ()),
    (State.SM, On.READ): (State.SM, ()),
    (State.SM, On.WRITE): (State.IM, ()),
    (State.SM, On.UPGRADE): (State.IM, ()),
    (State.E, On.READ): (State.S, (Do.GIVE,)),
    (State.E, On.WRITE): (State.I, (Do.GIVE,)),
    (State.M, On.READ): (State.S, (Do.GIVE, Do.TELL_WROTE_BACK)),
    (State.M, On.WRITE): (State.I, (Do.GIVE,)),
}
SNOOPING_MOESI: CacheTable = {
    **SNOOPING_MESI,
    **_OWNED_HITS,
    (State.M, On.READ): (State.O, (Do.GIVE,)),
    (State.O, On.EVICT): (State.I, (Do.PUT_DATA,)),
    (State.O, On.READ): (State.O, (Do.GIVE,)),
    (State.O, On.WRITE): (State.I, (Do.GIVE,)),
    (State.O, On.UPGRADE): (State.I, ()),
    (State.OM, On.GRANT): (State.M, (Do.PERFORM,)),
    (State.OM, On.READ): (State.OM, (Do.GIVE,)),
    (State.OM, On.WRITE): (State.IM, (Do.GIVE,)),
    (State.OM, On.UPGRADE): (State.IM, ()),
}
SNOOPING = {"MESI": SNOOPING_MESI, "MOESI": SNOOPING_MOESI}


def cache_step(
    table: CacheTable, state: State, on: On, core: int, line: int
) -> tuple[State, tuple[Do, ...]]:
    """Return a cache's next state and deeds; LawViolationError where the table has no such row."""
    if (state, on) not in table:
        raise LawViolationError(f"core {core}, line {line}: no row for '{on}' in state {state}")
    return table[state, on]
