import pytest

from sim.cpu.isa import AssemblyError, F, Kind, V, parse


def one(text, **options):
    (instruction,) = parse(text, **options)[""]
    return instruction


def test_a_load_names_its_base_offset_and_bytes():
    load = one("flw fa0, 8(a1)")
    assert (load.kind, load.dest, load.base, load.offset, load.bytes) == (
        Kind.LOAD,
        F + 10,
        11,
        8,
        4,
    )


def test_a_store_reads_its_value_and_its_base():
    assert one("sw t0, (sp)").sources == (5, 2)


def test_an_accumulating_multiply_add_reads_what_it_writes():
    fused = one("vfmacc.vf v3, f1, v2")
    assert (fused.dest, fused.sources) == (V + 3, (V + 3, F + 1, V + 2))


def test_register_zero_is_neither_waited_for_nor_written():
    nothing = one("add zero, zero, t0")
    assert (nothing.dest, nothing.sources) == (None, (5,))


def test_a_vector_load_moves_all_lanes():
    assert one("vle32.v v0, (a0)", lanes=8).bytes == 32


def test_symbols_stand_for_sizes_and_their_multiples():
    symbols = {"ELEMENT": 2}
    assert one("addi a0, a0, 4*ELEMENT", symbols=symbols).immediate == 8
    assert one("flh fa0, ELEMENT(a0)", symbols=symbols).offset == 2


def test_labels_part_a_text_into_sections():
    sections = parse("li t0, 1 # why\nloop:\n  addi t0, t0, -1\n  bne t0, zero, loop\n")
    assert {name: len(body) for name, body in sections.items()} == {"": 1, "loop": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("li t0, 1\nfmad.s f0, f1, f2, f0", "line 2: unknown mnemonic 'fmad.s'; did you mean 'f"),
        ("add t0, t1", "line 1: 'add' takes 3 operands, not 2"),
        ("add t0, t1, fa", "line 1: unknown register 'fa'; did you mean 'fa"),
        ("lw t0, a0", "line 1: 'a0' is no memory operand"),
        ("addi t0, t0, 4*ELEMEN", "line 1: unknown symbol 'ELEMEN'; did you mean 'ELEMENT'"),
        ("addi t0, t0, x+1", "line 1: 'x.1' is no number"),
    ],
)
def test_what_cannot_be_understood_is_an_error_with_line_and_remedy(text, message):
    with pytest.raises(AssemblyError, match=message):
        parse(text, symbols={"ELEMENT": 4})
