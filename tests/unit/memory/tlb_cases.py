"""Small translation hardware for the tests."""

from sim.memory.cache.run import AddressTrace
from sim.memory.tlb.run import translate
from sim.memory.tlb.spec import TranslationSpec

KIB4, MIB2, GIB1 = 4096, 2**21, 2**30
SIZES = (KIB4, MIB2, GIB1)
UPPER = (MIB2, GIB1, 2**39)


def array(entries=4, ways=None, page_bytes=SIZES, **more):
    return {"entries": entries, "ways": ways or entries, "page_bytes": page_bytes, **more}


def level(name="L1", *arrays, **more):
    return {"name": name, "arrays": arrays or (array(),), **more}


def walk_caches(entries=4, spans=UPPER):
    return tuple({"span_bytes": span, "entries": entries, "ways": entries} for span in spans)


def spec(*levels, page_bytes=KIB4, regions=(), scatter_seed=None, **more):
    mapping = {"page_bytes": page_bytes, "regions": regions, "scatter_seed": scatter_seed}
    described = {"levels": levels or (level(),), "mapping": mapping, **more}
    return TranslationSpec.model_validate(described)


def pages(numbers, page_bytes=KIB4):
    return AddressTrace.of([number * page_bytes for number in numbers])


def counts(described, trace):
    return translate(trace, described).counts


def walk_of(described, trace):
    """Addresses of all loads of walks."""
    run = translate(trace, described, with_physical=True)
    return run.physical.addresses[run.is_walk].tolist()
