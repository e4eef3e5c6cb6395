"""Metrics as Prometheus reads them."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.metrics import Metrics, exposition, merged
from peep.reasons import Reason


def parse(text):
    """Read the text exposition format, strictly: name → (kind, help, samples)."""
    families, helps, kinds = {}, {}, {}
    assert text == "" or text.endswith("\n")
    for line in text.split("\n")[:-1]:
        if match := re.fullmatch(r"# HELP (\S+) (.*)", line, re.DOTALL):
            assert match[1] not in helps
            helps[match[1]] = unescaped(match[2], '"')
        elif match := re.fullmatch(r"# TYPE (\S+) (counter|gauge)", line):
            assert match[1] not in kinds
            kinds[match[1]] = match[2]
            families[match[1]] = {}
        else:
            name, labels, value = sample(line)
            assert name == list(families)[-1], "a family's samples stand together"
            assert labels not in families[name]
            families[name][labels] = value
    return {n: (kinds[n], helps[n], samples) for n, samples in families.items()}


def sample(line):
    head = re.match(r"[a-zA-Z_:][a-zA-Z0-9_:]*", line)
    rest, labels = line[head.end() :], []
    if rest.startswith("{"):
        rest = rest[1:]
        while not rest.startswith("}"):
            one = re.match(
                r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?', rest, re.DOTALL
            )
            labels.append((one[1], unescaped(one[2])))
            rest = rest[one.end() :]
        rest = rest[1:]
    value = re.fullmatch(r" (NaN|[+-]Inf|-?[0-9][0-9.e+-]*)", rest)
    return head[0], tuple(labels), float(value[1])


def unescaped(text, unless=""):
    def meant(match):
        return {"n": "\n", "\\": "\\", '"': '"'}[match[1]]

    assert unless == "" or '\\"' not in text.replace("\\\\", "")
    return re.sub(r"\\(.)", meant, text, flags=re.DOTALL)


def test_what_is_counted_elsewhere_is_read_when_it_is_asked_for():
    metrics, counts = Metrics(), {Reason.STALE: 2}
    metrics.counter(
        "peep_suppressions_total", "Not heard.", lambda: counts, ("reason",)
    )
    metrics.gauge("peep_backlog", "Events that wait.", lambda: 1.5)
    metrics.counter("peep_signals_total", "Signals.", lambda: sum(counts.values()))
    metrics.counter("peep_never_total", "Nothing yet.", dict, ("reason",))
    counts[Reason.UNMAPPED] = 40_000_000
    assert metrics.text() == (
        "# HELP peep_suppressions_total Not heard.\n"
        "# TYPE peep_suppressions_total counter\n"
        'peep_suppressions_total{reason="stale"} 2\n'
        'peep_suppressions_total{reason="unmapped"} 40000000\n'
        "# HELP peep_backlog Events that wait.\n"
        "# TYPE peep_backlog gauge\n"
        "peep_backlog 1.5\n"
        "# HELP peep_signals_total Signals.\n"
        "# TYPE peep_signals_total counter\n"
        "peep_signals_total 40000002\n"
    )


def test_several_labels_are_read_by_tuples():
    metrics = Metrics()
    metrics.gauge("m", "M.", lambda: {("a", "x"): 1, ("a", "y"): True}, ("one", "two"))
    assert 'm{one="a",two="x"} 1\nm{one="a",two="y"} 1\n' in metrics.text()


def test_numbers_that_are_none_are_written_as_prometheus_wants():
    metrics = Metrics()
    readings = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1e300}
    metrics.gauge("m", "M.", lambda: readings, ("l",))
    values = [line.split()[1] for line in metrics.text().splitlines()[2:]]
    assert values == ["NaN", "+Inf", "-Inf", "1e+300"]


@pytest.mark.parametrize("name", ["", "1x", "a-b", "a b", "é", "taken", "a\n"])
def test_names_that_prometheus_does_not_take_are_refused(name):
    metrics = Metrics()
    metrics.gauge("taken", "T.", lambda: 1)
    with pytest.raises(ValueError, match="no name of a metric, or taken"):
        metrics.gauge(name, "N.", lambda: 1)


def test_a_counter_says_that_it_is_one():
    with pytest.raises(ValueError, match="ends in _total"):
        Metrics().counter("peep_signals", "S.", lambda: 1)


@pytest.mark.parametrize("labels", [("a-b",), ("__a",), ("a", "a"), ("",)])
def test_labels_that_prometheus_does_not_take_are_refused(labels):
    with pytest.raises(ValueError, match="labels"):
        Metrics().gauge("m", "M.", dict, labels)


@pytest.mark.parametrize("read", [{"x": 1}, {("x", "y", "z"): 1}])
def test_values_that_are_not_as_many_as_the_labels_are_refused(read):
    metrics = Metrics()
    metrics.gauge("m", "M.", lambda: read, ("a", "b"))
    with pytest.raises(ValueError, match="zip"):
        metrics.collect()


def test_processes_are_told_apart_and_their_metrics_stand_together():
    here, there = Metrics(), Metrics()
    for metrics, number in ((here, 1), (there, 2)):
        metrics.gauge("a", "A.", lambda number=number: {"x": number}, ("l",))
    there.gauge("b", "B.", lambda: 3)
    both = merged({"agent": here.collect(), "server": there.collect()})
    assert parse(exposition(both)) == {
        "a": (
            "gauge",
            "A.",
            {
                (("process", "agent"), ("l", "x")): 1,
                (("process", "server"), ("l", "x")): 2,
            },
        ),
        "b": ("gauge", "B.", {(("process", "server"),): 3}),
    }


TEXT = st.text(max_size=8)
HALVES = st.text(st.characters(exclude_categories=()), max_size=8)  # surrogates, too
NASTY = st.text(st.sampled_from('\\"\n\r{},= n\u2028'), max_size=8)
NUMBER = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)


@given(
    readings=st.dictionaries(st.tuples(TEXT | NASTY, HALVES | NASTY), NUMBER),
    about=TEXT | NASTY,
)
def test_any_text_and_number_comes_out_as_it_went_in(readings, about):
    metrics = Metrics()
    metrics.gauge("m", about, lambda: readings, ("a", "b"))
    text = metrics.text()
    text.encode()
    # What UTF-8 cannot carry becomes "?", and may become the same as another.
    wanted = {
        tuple(zip("ab", map(sound, values), strict=True)): float(number)
        for values, number in readings.items()
    }
    if not readings:
        assert text == ""
    elif len(wanted) == len(readings):
        assert parse(text) == {"m": ("gauge", about, wanted)}


def sound(value):
    return value.encode("utf-8", "replace").decode()
