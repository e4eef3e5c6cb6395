"""Bytes of plain and packed logs, by their offset."""

import gzip
import os
import zlib

import pytest

from peep.agent.sources.contents import BLOCK_BYTES, HEAD_BYTES, Packed, open_contents

TEXT = b"".join(b"%07d\n" % number for number in range(50_000))


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "a.log.gz"
    path.write_bytes(gzip.compress(TEXT))
    made = open_contents(str(path))
    assert isinstance(made, Packed)
    yield made
    made.close()


def test_a_packed_file_is_read_forwards_and_a_little_back(packed):
    assert packed.pread(16, 0) == TEXT[:16]
    assert packed.pread(HEAD_BYTES, 0) == TEXT[:HEAD_BYTES]
    assert packed.pread(16, 8) == TEXT[8:24]
    assert packed.size() == HEAD_BYTES
    assert packed.pread(8, HEAD_BYTES + 8) == b"", "one has to advance to there"


def test_it_advances_a_block_at_a_time_and_no_further_than_asked(packed):
    assert packed.advance(BLOCK_BYTES + 10)
    assert packed.size() == BLOCK_BYTES
    assert not packed.reaches(BLOCK_BYTES + 10)
    assert packed.advance(BLOCK_BYTES + 10)
    assert packed.size() == BLOCK_BYTES + 10
    assert packed.reaches(BLOCK_BYTES + 10)
    assert packed.pread(8, BLOCK_BYTES + 8) == TEXT[BLOCK_BYTES + 8 :][:8]
    assert packed.pread(8, 0) == b"", "what is long past is not kept"


def test_beyond_its_end_there_is_nothing(packed):
    while packed.advance(10 * len(TEXT)):
        pass
    assert packed.size() == len(TEXT)
    assert packed.hole() == 0


def test_files_that_were_joined_are_one(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    contents = open_contents(str(path))
    assert contents.pread(100, 0) == b"one\ntwo\n"
    contents.close()


@pytest.mark.parametrize("junk", [b"", b"not gzip at all", b"\x1f\x8b"])
def test_what_is_not_packed_has_nothing_in_it(tmp_path, junk):
    path = tmp_path / "a.gz"
    path.write_bytes(junk)
    contents = open_contents(str(path))
    assert contents.pread(100, 0) == b""
    assert not contents.is_begun()
    contents.close()


def test_enough_is_there_when_the_head_is_or_the_end(tmp_path):
    path = tmp_path / "a.gz"
    packer = zlib.compressobj(wbits=31)
    with path.open("wb", buffering=0) as file:
        file.write(packer.compress(b"short\n") + packer.flush(zlib.Z_SYNC_FLUSH))
        contents = open_contents(str(path))
        assert not contents.is_begun()
        file.write(packer.flush())
        assert contents.is_begun()
        contents.close()


def test_a_plain_file_is_at_hand_everywhere(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(TEXT)
    contents = open_contents(str(path))
    assert contents.reaches(1 << 40)
    assert not contents.advance(1 << 40)
    assert contents.pread(8, 800) == TEXT[800:808]
    assert contents.hole() == 0
    assert not contents.is_gone()
    path.unlink()
    assert contents.is_gone()
    contents.close()
    assert contents.is_gone(), "what cannot be asked any more is gone too"


def test_a_hole_ends_at_the_first_byte_that_was_written(tmp_path):
    path = tmp_path / "a.log"
    with path.open("wb") as file:
        file.seek(100_000)
        file.write(b"\0\0first\n")
    contents = open_contents(str(path))
    assert contents.hole() == 100_002
    os.truncate(path, 0)
    os.truncate(path, 50_000)
    assert contents.hole() == 50_000
    contents.close()
