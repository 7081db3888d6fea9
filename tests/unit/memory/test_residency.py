"""What stays in a memory level between operations."""

from sim.memory.residency import Residency
from workloads.trace import Role, Tensor


def tensor(name, size, layers=1):
    return Tensor(
        name=name, role=Role.WEIGHT, shape=(size,), dtype="int8", address=0, layers=layers
    )


def test_the_second_reading_of_what_fits_hits():
    level = Residency(100)
    a = tensor("a", 60)
    assert level.read(a, None, 60, scattered=False) == 0
    assert level.read(a, None, 60, scattered=False) == 60


def test_the_least_recently_used_tensor_goes_first():
    level = Residency(100)
    a, b, c = tensor("a", 40), tensor("b", 40), tensor("c", 40)
    for each in (a, b, a, c):
        level.read(each, None, 40, scattered=False)
    assert level.read(a, None, 40, scattered=False) == 40
    assert level.read(b, None, 40, scattered=False) == 0


def test_streaming_more_than_fits_leaves_nothing():
    level = Residency(100)
    a, huge = tensor("a", 40), tensor("huge", 101)
    level.read(a, None, 40, scattered=False)
    level.read(huge, None, 101, scattered=False)
    assert level.read(huge, None, 101, scattered=False) == 0
    assert level.read(a, None, 40, scattered=False) == 0


def test_what_was_written_is_there_for_the_next_reader():
    level = Residency(100)
    a = tensor("a", 40)
    level.write(a, None, 40, appended=False)
    assert level.read(a, None, 40, scattered=False) == 40


def test_appended_rows_add_to_the_prefix_that_is_held():
    level = Residency(100)
    cache = tensor("cache", 90)
    level.write(cache, None, 10, appended=True)
    level.write(cache, None, 10, appended=True)
    assert level.read(cache, None, 30, scattered=False) == 20


def test_gathered_rows_hit_only_where_the_whole_table_is_held():
    level = Residency(100)
    table = tensor("table", 50)
    assert level.read(table, None, 5, scattered=True) == 0
    assert level.read(table, None, 5, scattered=True) == 0
    level.read(table, None, 50, scattered=False)
    assert level.read(table, None, 5, scattered=True) == 5


def test_each_layers_instance_is_held_by_itself():
    level = Residency(100)
    weights = tensor("w", 40, layers=4)
    level.read(weights, 0, 40, scattered=False)
    assert level.read(weights, 1, 40, scattered=False) == 0
    assert level.read(weights, 0, 40, scattered=False) == 40


def test_equal_content_relative_to_the_layer_has_equal_keys():
    level = Residency(100)
    weights, shared = tensor("w", 60, layers=9), tensor("x", 10)
    keys = []
    for layer in range(4):
        level.read(shared, layer, 10, scattered=False)
        level.read(weights, layer, 60, scattered=False)
        keys.append(level.key(layer + 1))
    assert keys[1] == keys[2] == keys[3]
    level.skip_layers(5)
    assert level.read(weights, 8, 60, scattered=False) == 60


def test_what_is_forgotten_misses_and_leaves_its_room_to_others():
    level = Residency(100)
    a, b, c = tensor("a", 60), tensor("b", 40), tensor("c", 60)
    level.read(a, None, 60, scattered=False)
    level.read(b, None, 40, scattered=False)
    level.forget(a, None)
    assert level.used_bytes == 40
    level.read(c, None, 60, scattered=False)
    assert level.read(b, None, 40, scattered=False) == 40
    assert level.read(a, None, 60, scattered=False) == 0
