r"""How a secret is written: a form, and the pieces that forms are made of.

A form is three patterns end to end: `lead`, `sign` and `rest`; or `whole`, which has
the sign in it. The sign is what a line must contain to be looked at more closely, so
that clean lines cost next to nothing: it should be rare in clean lines. Lines are asked
end to end, so it must not look at what is around it (no `^ $ \b`), nor take newlines.
What the groups take is the secret; without groups, the whole is. Where a value may be
written in several ways, it is better that too much is cut than too little.
"""

import re

import msgspec

KINDS = ("password", "token", "key", "url", "user")


# What stands where a secret could, and is none.
_HARMLESS = re.compile(
    rb"""["'(\[<]*(?:yes|no|true|false|null|nil|none|found|chauthtok|-|\*+"""
    rb"""|\[redacted\]?)?[])"'>,.;:}]*""",
    re.IGNORECASE,
)
# In a sentence, also what makes it one: "password is required", "changed to a new one".
_HARMLESS_WORDS = re.compile(
    rb"""["'(\[<]*(?:yes|no|true|false|null|nil|none|found|-|\*+|\[redacted\]?"""
    rb"|(?:in)?(?:correct|valid)|wrong|bad|missing|empty|blank|required|needed|expired"
    rb"|accepted|rejected|refused|denied|failed|failure|success(?:ful)?|succeeded|ok"
    rb"|changed|set|unset|reset|updated|too|not|now|already|about|being|been|only|also"
    rb"|the|an?|this|that|it|its|new|old|your|my|his|her|their|same|different|default"
    rb"|in|on|at|to|for|from|by|of|and|or|with|without|via|as|be|is|are|was|has|have"
    rb"|weak|strong|short|long|unknown|unsupported|disabled|enabled|locked|encrypted"
    rb"|must|should|will|can|cannot|may|does|do|never|always|error|user|[\d.]{1,3})?"
    rb"""[])"'>,.;:}!]*""",
    re.IGNORECASE,
)

# Where names are, there is a root.
_HARMLESS_NAMES = re.compile(rb"(?:root|found|no|none|null|-)?")


class Form(msgspec.Struct, frozen=True):
    """One way in which a kind of secret is written."""

    kind: str
    sign: str
    rest: str = ""
    lead: str = ""
    whole: str = ""
    in_sentence: bool = False

    @property
    def pattern(self) -> str:
        """Return the whole pattern."""
        return self.whole or f"{self.lead}{self.sign}{self.rest}"

    @property
    def harmless(self) -> re.Pattern[bytes]:
        """Return the pattern of what stands where the secret could, and is none."""
        if self.in_sentence:
            return _HARMLESS_WORDS
        return _HARMLESS_NAMES if self.kind == "user" else _HARMLESS


# A word of a shell, perhaps quoted in part, and whatever else stands there without a
# space: passwords have quotes, brackets and commas in them.
WORD = r"""((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])*\S*)"""
# A value in JSON, in JSON that was quoted once more, or in a language's own literals;
# all of a list.
QUOTED = (
    r"""(?:\\+"((?:[^"\\]|\\\\(?:\\")?|\\[^"\\])*)|"((?:[^"\\]|\\.)*)"""
    r"""|'((?:[^'\\]|\\.)*)|\[((?:"(?:[^"\\]|\\.)*"|[^\]"])*)|([^\s"'\\,}\]]+))"""
)
# In a sentence only what no word of a language looks like: with a digit, a sign, or a
# capital within; or whatever is quoted.
ODD = (
    r"""\\*(?:"((?:[^"\\]|\\.){4,})|'((?:[^'\\]|\\.){4,})"""
    r"""|([^\s/"'(<\[]*(?:[a-z][A-Z]|[0-9!#$%&*+=@^~])\S*))"""
)
ODD_SIGN = r"""\\*(?:["']|[^\s/"'(<\[]*(?:[a-z][A-Z]|[0-9!#%&*+=@~\x24\x5e]))"""
GAP = r"[ \t]{0,4}"
IS = GAP + r"(?:=>|->|:=|=|:)"

# What is called so has a secret behind it, whatever it looks like.
_KEYS = (
    r"(?:api|access|account|auth|client|encryption|hmac|master|pre-?shared|private"
    r"|secret|security|session|shared|signing|ssh|storage|subscription|webhook)"
    r"[ _-]?key"
)
NAMES = (
    r"(?i:passw(?:or)?ds?|passwd|passwort|kennwort|mot de passe|contrase(?:\xc3\xb1|n)a"
    r"|pass[ _-]?phrase|passcode|secrets?|tokens?|credentials?|psk|salt"
    r"|api[_-]?secret|" + _KEYS + r")"
)
# … also with such an end: password_hash, passwordConfirmation, secret_key_base.
MORE = (
    r"\d{0,3}(?i:[_-]?(?:hash|value|text|base64|b64|base|id|confirm(?:ation)?|plain))"
    r"{0,2}"
)
# Short ones, which are parts of many words: behind a separator, or with what usually
# stands before them.
_BEFORE = (
    r"(?:db|user|root|admin|bind|ftp|smtp|mail|proxy|login|store|key|auth|vnc|old|new"
    r"|my|user_)?"
)
PASS = _BEFORE + r"(?i:pass)"
PW = _BEFORE + r"(?i:pwd|pw|mdp)"
