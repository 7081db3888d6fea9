"""A model that does not fit is refused with changes that make it fit, and they do."""

import re

import pytest

from sim.errors import CapacityError
from sim.memory.capacity import Room, bytes_in, require_room, what_fits
from workloads import generate, load_model


def trace_of(model="glassllm-en", **more):
    asked = {"prompt_tokens": 8, "new_tokens": 3, "execute": False, **more}
    return generate(load_model(model), None, **asked).trace


def test_what_fits_is_let_through():
    trace = trace_of()
    require_room(trace, trace.footprint_bytes, "toy")
    with pytest.raises(CapacityError):
        require_room(trace, trace.footprint_bytes - 1, "toy")


@pytest.mark.parametrize("model", ["glassllm-en", "gpt2-small", "tinyllama-1.1b"])
@pytest.mark.parametrize("room_for", [1, 5, 7])
def test_the_largest_batch_fits_and_one_more_does_not(model, room_for):
    capacity = trace_of(model, batch=room_for).footprint_bytes + 1
    assert Room.of(trace_of(model, batch=8)).largest_batch(capacity) == room_for
    assert trace_of(model, batch=room_for + 1).footprint_bytes > capacity


def test_the_largest_context_fits():
    whole = trace_of(batch=4)
    capacity = whole.footprint_bytes - Room.of(whole).kv_bytes // 2
    context = Room.of(whole).largest_context(capacity)
    assert context == Room.of(whole).context // 2
    assert trace_of(batch=4, max_context=context).footprint_bytes <= capacity


def test_a_context_shorter_than_the_trace_is_not_offered():
    whole = trace_of()
    room = Room.of(whole)
    assert room.used_context == 10
    enough = room.total_bytes - room.kv_bytes + 10 * room.kv_bytes // room.context
    assert room.largest_context(enough) == 10
    assert room.largest_context(enough - 1) == 0


def test_a_smaller_element_type_is_offered_only_where_it_fits():
    trace = trace_of()
    needed = bytes_in(trace, "bfloat16")
    assert needed == trace_of(dtype="bfloat16").footprint_bytes
    assert any("bfloat16" in offer for offer in what_fits(trace, needed))
    assert not any("bfloat16" in offer for offer in what_fits(trace, needed - 1))


def test_the_message_names_parts_and_remedies():
    trace = trace_of("llama2-70b", dtype="float16", prompt_tokens=100, batch=16)
    with pytest.raises(CapacityError) as refused:
        require_room(trace, 80 * 10**9, "an-80-gb-machine")
    message = str(refused.value)
    assert re.search(r"llama2-70b needs \d+\.\d GB \(13\d\.\d GB of weights", message)
    assert "Each of these alone fits: 2 such machines that share it evenly" in message
