"""Files of real chips: what they say, and what happens to those that say it wrongly."""

import pytest
from tlb_cases import GIB1, KIB4, MIB2, pages

from sim.errors import SpecError
from sim.memory.tlb.chip import FOLDER, load_mmu, mapped, mmu_names, read_mmu
from sim.memory.tlb.run import translate
from sim.memory.tlb.spec import MappingSpec
from sim.spec import read_spec_file


@pytest.mark.parametrize(
    ("chip", "loads", "reaches"),
    [
        ("skylake", 4, [(64 * KIB4, 32 * MIB2, 4 * GIB1), (1536 * KIB4, 1536 * MIB2, 16 * GIB1)]),
        ("cortex-a76", 4, [(48 * KIB4, 48 * MIB2, 0), (1280 * KIB4, 1280 * MIB2, 1280 * GIB1)]),
        ("polarfire-u54", 3, [(32 * KIB4, 32 * MIB2, 32 * GIB1)]),
    ],
)
def test_a_chips_levels_reach_so_far(chip, loads, reaches):
    mmu = load_mmu(chip)
    assert mmu.table_levels == loads
    sizes = (KIB4, MIB2, GIB1)
    assert [tuple(map(level.reach_bytes, sizes)) for level in mmu.levels] == reaches


def test_the_files_are_all_tested_here_and_every_number_has_a_source():
    assert mmu_names() == ["cortex-a76", "polarfire-u54", "skylake"]
    for name in mmu_names():
        provenance = read_spec_file(FOLDER / f"{name}.yaml").provenance
        assert all(entry.source for entry in provenance)


def test_cycling_through_what_a_level_reaches_misses_only_the_first_time():
    described = mapped(load_mmu("skylake"), MappingSpec())
    fits = translate(pages(list(range(1536)) * 3), described).counts
    assert fits.walks == 1536
    beyond = translate(pages(list(range(1536 + 128)) * 3), described).counts
    assert beyond.walks == 3 * (1536 + 128)  # 13 pages in each set of 12 ways


def test_an_unknown_chip_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'skylake'"):
        load_mmu("skylak")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("entry_bytes:", "entry_byte:", "key 'entry_byte': unknown; did you mean 'entry_bytes'"),
        ("{entries: 16,", "{entrys: 16,", "unknown; did you mean 'entries'"),
        ("entries: 1536, ways: 12", "entries: 1536, ways: 11", "no whole sets of 11 ways"),
        ("{value: 9, source: topdown}", "{value: 9, source: topdwn}", "did you mean 'topdown'"),
        ("{value: 48, source: sdm}", "48", "a chip's number needs a `source:`"),
        ("kind: chip", "kind: chip\nwalk_caches: [{source: sdm, span: 2 MiB}]", "span"),
    ],
)
def test_a_file_with_a_mistake_names_the_key(tmp_path, old, new, message):
    text = (FOLDER / "skylake.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "chip.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(SpecError, match=message) as error:
        read_mmu(path)
    assert "chip.yaml" in str(error.value)


def test_pages_that_a_chip_does_not_have_are_refused():
    with pytest.raises(SpecError, match="65536 bytes are none of the table's sizes"):
        mapped(load_mmu("skylake"), MappingSpec(page_bytes="64 KiB"))
