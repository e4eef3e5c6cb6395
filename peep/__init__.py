"""Peep: hear your network."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peep.net.discovery import Discovery

__all__ = ["Discovery", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Load what is public but heavy when it is first asked for."""
    if name == "Discovery":
        from peep.net.discovery import Discovery  # noqa: PLC0415

        return Discovery
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
