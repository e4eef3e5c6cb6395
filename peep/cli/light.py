"""What an agent's libraries load and it does not use: it is lighter by 6 MB without.

OpenSSL is 5 of them.

asyncio imports `ssl` in case somebody opens a TLS connection, and `hashlib` takes its
functions from OpenSSL where it finds them. An agent does neither, unless it looks at
web servers: its keys are `cryptography`'s, which brings a library of its own.

So `ssl`, and the module of asyncio that asks it for something at once, are put in place
unread; they are read when somebody asks for what is in them. And `hashlib` is told that
there is no OpenSSL: it has all that it guarantees from Python's own code, but neither
`scrypt` nor `pbkdf2_hmac`.

`inspect` brings the tree of Python's grammar, the disassembler and the tokenizer, 0.9
MB. What asyncio asks it about what handles a signal of the system is answered without
it; all else is read as above. `msgspec` takes its types from `typing_extensions` where
another package has brought that, 0.3 MB, else from `typing`.
"""

import importlib
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from threading import RLock
from types import CodeType, FunctionType, ModuleType

_READING = RLock()
_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE: of what `async def` makes


class _Unread(ModuleType):
    """A module that is read when it is first asked for something.

    `importlib.util.LazyLoader` is asked for the module's spec by each `import` of it,
    and so reads it at once.
    """

    def __getattr__(self, name: str) -> object:
        with _READING:
            if type(self) is _Unread:
                spec = self.__spec__
                assert spec is not None, "it was made from it"
                assert spec.loader is not None, "it was found with it"
                self.__class__ = ModuleType  # type: ignore[assignment]  # it may be
                spec.loader.exec_module(self)
        return getattr(self, name)


def without_openssl() -> None:
    """Put it off for what is imported from now on; what is loaded already stays."""
    if not {"asyncio", "ssl"} & sys.modules.keys():
        sys.modules["ssl"] = _unread("ssl")
        inner = sys.modules["asyncio.sslproto"] = _unread("sslproto", "asyncio")
        vars(importlib.import_module("asyncio"))["sslproto"] = inner
    if "hashlib" not in sys.modules and "_hashlib" not in sys.modules:
        # None is how Python writes down that a module cannot be imported.
        sys.modules["_hashlib"] = None  # type: ignore[assignment]
        importlib.import_module("hashlib")
        importlib.import_module("hmac")
        del sys.modules["_hashlib"]


def without_inspection() -> None:
    """Put off looking into code, and do without types that only others need."""
    if "inspect" not in sys.modules:
        inspect = sys.modules["inspect"] = _unread("inspect")
        vars(inspect).update(
            iscoroutinefunction=_is_coroutine_function,
            isfunction=_is_function,
            unwrap=_unwrapped,
        )
    if not {"msgspec", "typing_extensions"} & sys.modules.keys():
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # as above
        importlib.import_module("msgspec")
        del sys.modules["typing_extensions"]


# What `inspect` has by these names takes their places when it is read.
def _is_coroutine_function(asked: object) -> bool:
    code = getattr(asked, "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & _CO_COROUTINE)


def _is_function(asked: object) -> bool:
    return isinstance(asked, FunctionType)


def _unwrapped(asked: object) -> object:
    while hasattr(asked, "__wrapped__"):
        asked = asked.__wrapped__
    return asked


def _unread(name: str, package: str = "") -> ModuleType:
    """Return a module as it is before it is read; its package is not imported."""
    found = PathFinder.find_spec(package or name)
    if found is not None and package:
        where = found.submodule_search_locations
        found = PathFinder.find_spec(f"{package}.{name}", where)
    assert found is not None, "it is in the standard library"
    made = module_from_spec(found)
    made.__class__ = _Unread
    return made
