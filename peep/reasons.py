"""Why a datagram was dropped, or a signal suppressed: one list for everything.

The value is the metric label, the word in summaries, and what tests assert.
"""

import enum


class Reason(enum.StrEnum):
    """One word per cause."""

    # A signal that made no sound of its own.
    UNMAPPED = "unmapped"  # the theme has no sound for it
    BACKLOG_FULL = "backlog-full"  # too many waited, and it was the least urgent
    BACKLOG_AGE = "backlog-age"  # it waited for a voice until it was old news
    STALE = "stale"  # it was already old when it came
    UNCHANGED = "unchanged"  # a state or rhythm that repeats what already sounds
    MASKED = "masked"  # another host holds the same layer at a higher level
    REPEATED = "repeated"  # an alert that was heard already, recorded again
    TABLE_FULL = "table-full"  # a bounded table had no room
    MUTED = "muted"  # the operator does not want to hear it
    SNOOZED = "snoozed"  # nor for a while
    SOLOED = "soloed"  # the operator wants to hear something else only
    QUIET = "quiet"  # these are quiet hours

    # A datagram that was dropped.
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    UNKNOWN_VERSION = "unknown-version"
    UNKNOWN_TYPE = "unknown-type"
    UNKNOWN_SESSION = "unknown-session"
    WRONG_ADDRESS = "wrong-address"
    NO_SHARED_CLASS = "no-shared-class"
    BAD_COOKIE = "bad-cookie"
    REPLAYED = "replayed"
    NOT_ADMITTED = "not-admitted"
    UNASKED = "unasked"  # an answer to a question that was not put
    SEALED = "sealed"  # encrypted, and this side holds no key for it
    BAD_SEAL = "bad-seal"  # not sealed with the key it names, or changed on its way
    UNKNOWN_KEY = "unknown-key"  # sealed with a key that is not held
    REFUSED = "refused"  # by policy: an address, class or key that is not allowed
    THROTTLED = "throttled"  # more signals than one sender may send
    NOT_NEAR = "not-near"  # announced from a network that is none of ours
    KEY_NEEDED = "key-needed"  # an open session may not speak for a sealed class
    FOREVER = "forever"  # a lease without end was asked for
    OVERRUN = "overrun"  # it came faster than it was read: the kernel dropped it
