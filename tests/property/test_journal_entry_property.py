"""Whatever stands in an entry of the journal: one line, or none, and no fault."""

import json

from hypothesis import given
from hypothesis import strategies as st

from peep.agent.sources.journal_entry import FIELDS, parse

VALUES = st.recursive(
    st.none() | st.text(max_size=20) | st.integers(-1, 300) | st.booleans(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)
ENTRIES = st.dictionaries(
    st.sampled_from([*FIELDS.split(","), "__REALTIME_TIMESTAMP", "OTHER"]), VALUES
)


@given(ENTRIES, st.integers(0, 300))
def test_any_fields_make_one_line_at_most(fields, own_pid):
    data = json.dumps({**fields, "__CURSOR": "s=1;i=2"}).encode()
    found = parse(data, own_pid)
    if found is None:  # a time that is no text
        assert not isinstance(fields.get("__REALTIME_TIMESTAMP", ""), str)
    else:
        assert b"\n" not in found.text
        assert 0.0 <= found.when < 1e10


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_none(data):
    assert parse(data) is None or b"__CURSOR" in data
