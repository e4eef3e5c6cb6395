r"""What secrets look like in logs: in fields, sentences, URLs, and by themselves.

Five kinds: passwords; tokens (bearer tokens, cookies, those that services issue); keys
(private keys, hashes of passwords); url (passwords and keys within a URL); and user:
names that were tried and are not known to exist, for people type passwords there
(secret_users.py). Those that are arguments of programs: secret_arguments.py. How forms
are written: forms.py.

Left are ids that open nothing: hashes of commits and files, fingerprints of public
keys, UUIDs, numbers of processes and requests; names of users who exist, hosts and
addresses; and lines of nothing but base64, which say nothing of what they are.
"""

from peep.rules.forms import (
    GAP,
    IS,
    KINDS,
    MORE,
    NAMES,
    ODD,
    ODD_SIGN,
    PASS,
    PW,
    QUOTED,
    WORD,
    Form,
)
from peep.rules.secret_arguments import ARGUMENTS
from peep.rules.secret_users import USERS

__all__ = ["FORMS", "KINDS", "Form"]

# What is called a session or a code is one if it is long enough, or all digits.
_SESSION = (
    r"(?i:sess(?:ion)?(?:[ _-]?(?:id|key|token))?|(?:php|j)sess(?:ion)?id|sid"
    r"|(?:connect|asp\.net_sessionid|laravel)[._]?s(?:id|ession)|csrf(?:_?token)?"
    r"|xsrf(?:-token)?|ticket|auth)"
)
_CODE = r"(?i:pin|t?otp|cvv2?|cvc|tan)"

_FIELDS = (
    # password=…, DB_PASSWORD: …, --token=…; in a URL's query it is of kind url
    Form(
        "password",
        NAMES + MORE + r"\]?" + IS,
        GAP + r"\[?" + WORD,
        r"(?:^|[^\w.?&-])[\w./:-]*",
    ),
    # … in quotes that began before the name
    Form(
        "password",
        NAMES + MORE + IS,
        GAP + r"((?:[^\"\\]|\\.)*)\"",
        r"\"[\w./:-]*",
    ),
    Form("password", NAMES + MORE + IS, GAP + r"((?:[^'\\]|\\.)*)'", r"'[\w./:-]*"),
    Form("password", PASS + IS, GAP + WORD, r"(?:^|[^\w?&])-{0,2}(?:\w+[_.-])?"),
    # PWD is also a directory, of which sudo tells
    Form(
        "password",
        PW + r"(?:=>|:=|=|: )",
        GAP + r"(?:\"((?:[^\"\\]|\\.)*)|'((?:[^']|'\\'')*)|([^\s/\"']\S*))",
        r"(?:^|[^\w?&])-{0,2}(?:\w+[_.-])?",
    ),
    Form("password", r"[a-z0-9_](?:Pass|Pwd|Pw|PASS|PWD)" + IS, GAP + WORD),
    # "password": "…", name="password" value="…"
    Form(
        "password",
        r"(?:" + NAMES + r"|" + PASS + r"|" + PW + r")" + MORE + r"\\*[\"']"
        r"(?:" + GAP + r"(?:=>|[:=])|[ \t]{1,4}(?:value|content)=)",
        GAP + QUOTED,
    ),
    # 'x-api-key', '…'
    Form("password", NAMES + MORE + r"[\"'],", GAP + QUOTED, r"[\"'][\w.-]*"),
    Form(
        "password",
        r"(?i:<(?:\w+:)?\w*(?:password|passwd|secret|token|passphrase))",
        r"(?:\s[^>]*)?>([^<]*)",
    ),
    # those whose name alone says little: a value that is long
    Form(
        "token",
        _SESSION + r"\\*[\"']?(?:=>|[=:])",
        GAP + r"\\*[\[\"']*([\w%.+/=-]{16,})",
        r"(?:^|[^A-Za-z])",
    ),
    Form("token", r"/sess_", r"([\w,-]{16,})"),
    Form(
        "password",
        _CODE + r"\\*[\"']?(?:=>|[=:])",
        GAP + r"\\*[\"']?(\d{4,10})",
        r"(?:^|[^A-Za-z])",
    ),
    # IDENTIFIED BY '…', PASSWORD('…'), ENCRYPTED PASSWORD $$…$$, … VALUES (…)
    Form(
        "password",
        r"(?i:identified[ \t]{1,4})",
        r"(?i:(?:with\s+\S+\s+)?(?:by|as)(?:\s+password)?)\s*"
        r"(?:'((?:[^'\\]|\\.|'')*)|\"((?:[^\"\\]|\\.|\"\")*))",
    ),
    Form(
        "password",
        r"(?i:password(?: for \S{1,64}){0,1} {0,4}(?:= {0,4})?(?:password {0,4})?"
        r"(?:\( {0,4})?e?')",
        r"((?:[^'\\]|\\.|'')*)",
    ),
    Form("password", r"(?i:password {1,4}\$\w{0,16}\$)", r"([^$]*)"),
    Form("password", r"(?i:values {0,4})\(", r"(.*)", NAMES + r".*?"),
)

# As people write to each other, and programs to people.
_CALLED = (
    r"(?i:passw(?:or)?d|passwort|kennwort|passphrase|passcode|mot de passe"
    r"|contrase(?:\xc3\xb1|n)a)"
)
_CALLED_KEY = (
    r"(?i:secret|token|credentials?|(?:api|access|secret|private|encryption) key)"
)
_ISSUED = r"(?i:token|(?:api|access|secret) key|client secret)"
_WHOSE = r"(?: (?:of|for)(?: the)?(?: user| account)? \S{1,64}){0,1}"
_IS_NOW = r" (?i:is|was|ist|war|est|es)(?: now| set to)?:? "
_CHANGED = r"(?: has been| was| is)?(?: now)?(?: changed| set| reset| updated)? to:? "
_STATED = r"[ :]{1,3}(?:\d )?"
_CODES = (
    r"(?i:(?:verification|login|security|auth\w{0,12}|access|one-time|recovery|reset)"
    r" (?:code|password|pin)|pin|otp)(?: is|:)? "
)
_SENTENCES = (
    # the password for bob is …, password has been changed to …
    Form("password", _CALLED + _WHOSE + _IS_NOW, WORD, in_sentence=True),
    Form("password", _CALLED + _WHOSE + _CHANGED, WORD, in_sentence=True),
    Form(
        "token",
        _CALLED_KEY + _WHOSE + r"(?:" + _IS_NOW + r"|" + _CHANGED + r")" + ODD_SIGN,
        whole=_CALLED_KEY + _WHOSE + r"(?:" + _IS_NOW + r"|" + _CHANGED + r")" + ODD,
        in_sentence=True,
    ),
    # wrong password "…", invalid token …, Invalid API key: …, password 7 …
    Form(
        "password",
        _CALLED + _STATED + ODD_SIGN,
        whole=_CALLED + _STATED + ODD,
        in_sentence=True,
    ),
    # … but what a secret is called is none: secret "db-credentials" not found
    Form(
        "token",
        _ISSUED + _STATED + ODD_SIGN,
        whole=_ISSUED + _STATED + ODD,
        in_sentence=True,
    ),
    # A temporary password is generated for root@localhost: …, PASSWORD elastic = …
    Form(
        "password",
        r"(?i:passw(?:or)?d|passphrase|api key)[ (][^:=;,\"'\n]{1,80}(?::| =) ",
        GAP + r"[\"']?([^\s\"']\S*?)[\"']?$",
        in_sentence=True,
    ),
    Form("password", r"(?i:credentials) ", r"[^\s:/]+[:/](\S+)"),
    Form("password", r"(?i:login attempt) \[", r"(.*)\]"),
    Form("password", r" (?i:login attempt)", "", r"\s[^\s/]+/(\S+)"),
    Form("password", r"given password: ", r"(.*?)\)?(?:$|\) )"),
    Form(
        "password",
        _CODES + r"\d{4}",
        whole=r"(?:^|\W)" + _CODES + r"(\d{4,10})(?:\W|$)",
    ),
)

_TOKENS = (
    Form(
        "token",
        r"(?i:authorization)\\*[\"']?" + GAP + r"(?:=>|[:=,])",
        r"\s*\\*[\[{(]*\\*[\"']?(?i:(?:basic|bearer|negotiate|ntlm|token|apikey)\s+)?"
        r"([^\s\"'\\]+)",
    ),
    Form(
        "token",
        r"(?i:authorization)\\*[\"']?" + GAP + r"(?:=>|[:=,])",
        r"\s*\\*[\[{(]*\\*[\"']?(?i:digest|aws4\S*|hmac\S*|signature|oauth)\s+(.*)",
    ),
    Form(
        "token",
        r"(?i:cookie2?)\\*[\"']?" + GAP + r"(?:=>|[:=,])",
        r"\s*\\*[\[{(]*\\*[\"']?([^\"'\\]+)",
    ),
    Form("token", r"(?i:bearer)[ \t]", r"+(?:token )?([A-Za-z0-9._~+/=:-]{8,})"),
    Form("token", r"AUTH (?:PLAIN|LOGIN|XOAUTH2|NTLM)[ #]", r"([A-Za-z0-9+/=]{8,})"),
    Form("token", r"resp=", r"([A-Za-z0-9+/=]{8,})"),
    Form("token", r"eyJ[A-Za-z0-9_-]{6}", r"[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){1,4}"),
    # By the beginnings that services give them.
    Form("token", r"(?:gh[pousr]_|github_pat_)", r"[A-Za-z0-9_]{16,}"),
    Form("token", r"gl(?:pat|ptt|dt|rt|cbt|agent|ft|soat)-", r"[\w.-]{16,}"),
    Form("token", r"xox[a-z]-", r"[\w-]{8,}"),
    Form("token", r"xapp-", r"[\w-]{8,}"),
    Form("token", r"hooks\.slack\.com/", r"(?:services|workflows)/(\S+)"),
    Form("token", r"/api/webhooks/", r"\d+/([\w-]+)"),
    Form("token", r"webhook\.office\.com/", r"(\S+)"),
    Form("token", r"(?:ya29\.|1//0|GOCSPX-)", r"[\w-]{16,}"),
    Form(
        "token",
        r"(?:hvs\.|hvb\.|dop_v1_|pypi-|shp(?:at|ca|pa|ss)_|sq0(?:atp|csp|idp)-"
        r"|whsec_|rubygems_|dckr_pat_|glsa_|lin_api_|tskey-\w{4,8}-|xkeysib-|ATATT3"
        r"|PMAK-|NRAK-|HRKU-|EAAA|APA91b|AGE-SECRET-KEY-1)",
        r"[\w-]{16,}",
    ),
    Form("token", r":APA91b", r"[\w-]{16,}", r"[\w-]{11}"),
    Form("token", r"SG\.", r"[\w-]{16,}\.[\w-]{16,}"),
    Form("token", r":[A-Za-z0-9_-]{35}", "", r"(?:^|\D)\d{8,10}"),
    Form("token", r"hf_[A-Za-z]{30}", r"[A-Za-z]*"),
    Form("token", r"npm_[A-Za-z0-9]{30}", r"[A-Za-z0-9]*"),
    Form("token", r"\.[\w-]{6}\.[\w-]{27}", r"[\w-]*", r"[MNO][\w-]{23,25}"),
)

_KEYS = (
    Form("key", r"(?:AKIA|ASIA|ABIA|ACCA)", r"[A-Z0-9]{16}"),
    Form("key", r"AIza", r"[\w-]{35}"),
    Form("key", r"[rsp]k_(?:live|test)_", r"[A-Za-z0-9]{8,}"),
    Form("key", r"sk-(?:[A-Za-z0-9]{20}|(?:proj|ant|or|svcacct|admin)-)", r"[\w-]*"),
    Form("key", r"(?:key-|SK|dapi)[0-9a-f]{32}"),
    Form(
        "key",
        r"PRIVATE KEY",
        r"(?: BLOCK)?-----(.*?)(?:-----END|$)",
        r"-----BEGIN [A-Z0-9 ]*",
    ),
    Form(
        "key",
        r"\$(?:1|2[abxy]|5|6|7|y|gy|apr1|argon2i?d?|scrypt)\$",
        r"[^\s:\"']+",
    ),
    Form(
        "key",
        r"(?:SCRAM-SHA-\d{1,3}|(?:pbkdf2_|PBKDF2_|ssha)\w{1,16}|scrypt|bcrypt\w{0,8})\$",
        r"[^\s\"']+",
    ),
    Form("key", r"\{(?:S?SHA\d{0,3}|S?MD5|CRYPT|ARGON2|PBKDF2[\w-]{0,8})\}", r"(\S+)"),
    Form("key", r":[0-9A-Fa-f]{32}:[0-9A-Fa-f]{32}:"),
)

_QUERIES = (
    r"password|passwd|passphrase|secret|token|api_?key|access_?key|session|credential"
    r"|signature|jwt"
)
_URLS = (
    # the at sign ends a password at its last place before the path
    Form("url", r"://[^\s/?#\"'<>@:]*:", r"([^\s/?#\"'<>]*)@"),
    # … or the first one behind it, where the password has slashes and is no port
    Form(
        "url",
        r"://[^\s/?#\"'<>@:]*:",
        r"(\d*[^\d\s/?#\"'<>@][^\s/?#\"'<>@]*/[^\s\"'<>@]*)@",
    ),
    Form("url", r"://[^\s/?#\"'<>@:]{20}", r"[^\s/?#\"'<>@:]*@", ""),
    Form(
        "url",
        r"[?&;#][\w.%\[-]*(?i:" + _QUERIES + r"|sessid|ticket)[\w.%-]*\]?=",
        r"([^&\s\"'#]+)",
    ),
    Form(
        "url",
        r"[?&;](?:[\w.%-]*[_.%\[-])?"
        r"(?i:key|sig|auth|sid|otp|pin|pass|pwd|pw|hash|code)\]?=",
        r"([^&\s\"'#]+)",
    ),
    # … and percent-encoded once or twice, as part of another URL
    Form(
        "url",
        r"(?i:"
        + _QUERIES
        + r"|pass|pwd)(?:%(?:25){0,2}(?i:22|5D))?%(?:25){0,2}(?i:3D|3A)"
        r"(?:%(?:25){0,2}22)?",
        r"([^&\s\"'#]+)",
    ),
    # where a link is the key to somebody's account
    Form(
        "url",
        r"/(?i:(?:password|passwd|account|email)[/_-]?(?:reset|set|verify|confirm)"
        r"|(?:reset|set|forgot|verify|confirm|activate|recover)(?:[/_-]?(?:password"
        r"|account|e?mail))?|invit(?:e|ation)s?|magic(?:[_-]?link)?|token|unsubscribe)/",
        r"([\w.~%-]{16,})",
    ),
)

FORMS = (*_FIELDS, *_SENTENCES, *ARGUMENTS, *_TOKENS, *_KEYS, *_URLS, *USERS)
