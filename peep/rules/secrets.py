r"""What secrets look like in logs.

Five kinds: passwords; tokens (bearer tokens, cookies, those that services issue); keys
(private keys, hashes of passwords); url (passwords and keys within a URL); and user:
names that were tried and are not known to exist, for people type passwords there. Of
a program that does not say whether a name exists, every name that failed counts.

A form is three patterns end to end: `lead`, `sign` and `rest`. The sign is what a line
must contain to be looked at more closely, so that clean lines cost next to nothing;
it should be rare in clean lines, and must not look at what is around it (no `^ $ \b`).
What the groups take is the secret; without groups, the whole is. Where a value may be
written in several ways, it is better that too much is cut than too little.
"""

import msgspec

KINDS = ("password", "token", "key", "url", "user")


class Form(msgspec.Struct, frozen=True):
    """One way in which a kind of secret is written."""

    kind: str
    sign: str
    rest: str = ""
    lead: str = ""

    @property
    def pattern(self) -> str:
        """Return the whole pattern."""
        return f"{self.lead}{self.sign}{self.rest}"


# A word of a shell, perhaps quoted in part, and whatever else stands there without a
# space: passwords have quotes, brackets and commas in them.
_WORD = r"""((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])*\S*)"""
# A value in JSON, in JSON that was quoted once more, or in a language's own literals.
_QUOTED = (
    r"""(?:\\+"((?:[^"\\]|\\[^"])*)|"((?:[^"\\]|\\.)*)"""
    r"""|'((?:[^'\\]|\\.)*)|([^\s"'\\,}]+))"""
)
_NAMES = (
    r"(?i:passw(?:or)?d|passwd|passphrase|passcode|secret|token|credentials?"
    r"|(?:api|access|private|signing|encryption|auth|account|shared|master|secret)[_-]?key)"
)
_MORE = r"\d{0,3}(?:[_-](?i:hash|value|text|base64|b64|id))?"
_IS = r"[ \t]{0,4}(?:=>|:=|=|:)"
_GAP = r"[ \t]{0,4}"
# The end of sshd's sentences about a user.
_SSHD_END = (
    r"(?:(?: from \S+(?: port \d+)?(?: ssh\d?)?| \S+ port \d+(?:: .*)?)?"
    r"(?: \[preauth\])?\]?)?$"
)
_UNTIL_QUOTE = r"""["'\])>`]?"""

_PASSWORDS = (
    # password=…, DB_PASSWORD: …, --token=…; in a URL's query it is of kind url
    Form("password", _NAMES + _MORE + _IS, _GAP + _WORD, r"(?:^|[^\w.?&-])[\w.-]*"),
    Form(
        "password",
        r"(?i:pass|passwort|mdp)" + _IS,
        _GAP + _WORD,
        r"(?:^|[^\w?&])-{0,2}(?:\w+[_.-])?",
    ),
    # PWD is also a directory, of which sudo tells
    Form(
        "password", r"(?i:pwd|pw)=", r"([^\s/]\S*)", r"(?:^|[^\w?&])-{0,2}(?:\w+[_.-])?"
    ),
    # "password": "…"
    Form(
        "password",
        r"(?i:passw(?:or)?d|passwd|passphrase|passcode|pass|pwd|secret|token"
        r"|(?:api|access|private|secret|signing|encryption|auth)[_-]?key)"
        r"\d{0,3}\\*[\"']" + _IS,
        _GAP + _QUOTED,
    ),
    Form("password", r"(?i:<\w*(?:password|passwd|secret|token)>)", r"([^<]*)"),
    # --password …
    Form(
        "password",
        # Not -psecret: that is a password by itself, and what follows an option.
        r"(?:--[\w-]*|-)(?i:password|passwd|passphrase|token|secret|api-?key)[ \t]",
        r"[ \t]*" + _WORD,
        r"(?:^|[\s\"'(])",
    ),
    # IDENTIFIED BY '…', PASSWORD('…'), ENCRYPTED PASSWORD '…'
    Form(
        "password",
        r"(?i:identified\s+)",
        r"(?i:(?:with\s+\S+\s+)?(?:by|as)(?:\s+password)?)\s*[\"']((?:[^'\"\\]|\\.|''|\"\")*)",
    ),
    Form(
        "password",
        r"(?i:password(?: for \S{1,64}){0,1})\s{0,4}(?:=\s{0,4}|\(\s{0,4})?'",
        r"((?:[^'\\]|\\.|'')*)",
    ),
    # programs that take a password as an argument
    Form(
        "password",
        r"(?:mysql|mariadb|mycli|xtrabackup)",
        r"[^|;]*?\s-p(\S+)",
        r"(?:^|[^\w.])",
    ),
    Form("password", r"sshpass\s", r"(?:-\w\s+)*-p[ \t]*" + _WORD),
    Form(
        "password",
        r"(?:docker|podman|mongo|rdesktop|useradd|usermod|plink)",
        r"[^|;]*?\s-pw?[ \t]+" + _WORD,
        r"(?:^|[^\w.])",
    ),
    Form(
        "password",
        r"(?:redis-cli|ldap(?:search|modify|add|delete|whoami|passwd))\s",
        r"[^|;]*?(?:^|\s)-[aw][ \t]+" + _WORD,
    ),
    Form(
        "password",
        r"(?:sqlcmd|ipmitool|mosquitto_|unzip|zip|bcp)",
        r"[^|;]*?\s-P[ \t]*" + _WORD,
        r"(?:^|[^\w.])",
    ),
    Form("password", r"(?:7z|7za|7zr|rar)\s", r"[^|;]*?\s-p(\S+)"),
    Form("password", r"snmp", r"\w+\s[^|;]*?\s-[cAX][ \t]+" + _WORD),
    Form("password", r"htpasswd\s", r"+-\w*b\w*\s+\S+\s+\S+\s+" + _WORD),
    Form("password", r"pass:", r"(\S+)", r"-(?:pass|passin|passout|k)\s+"),
    Form(
        "password",
        r"\|\s{0,4}(?:sudo\s+)?(?:\S*/)?(?:chpasswd|passwd|cryptsetup|sudo|gpg2?|openssl)",
        "",
        r"(?:echo|printf)\s+(?:-\w+\s+)*(.+?)\s*",
    ),
    # user:password, user%password, user,password
    Form(
        "password",
        r"\s(?:-u|--user|--proxy-user|-U)",
        r"[ =]?[\"']?[^\s:\"']+:" + _WORD,
    ),
    Form("password", r"\s(?:-U|--user)", r"[ =]?[\"']?[^\s%\"']+%" + _WORD),
    Form("password", r"lftp\s", r"[^|;]*?-u[ \t]*[^\s,]+," + _WORD),
    Form("password", r"\s/p:", r"(\S+)"),
    Form("password", r"given password: ", r"(.*?)\)?(?:$|\) )"),
)

_TOKENS = (
    Form(
        "token",
        r"(?i:authorization)\\*[\"']?\s{0,4}[:=]",
        r"\s*\\*[\"']?(?i:(?:basic|bearer|negotiate|ntlm|token|apikey)\s+)?([^\s\"'\\]+)",
    ),
    Form(
        "token",
        r"(?i:authorization)\\*[\"']?\s{0,4}[:=]",
        r"\s*\\*[\"']?(?i:digest|aws4\S*|hmac\S*|signature|oauth)\s+(.*)",
    ),
    Form("token", r"(?i:cookie2?)\\*[\"']?\s{0,4}[:=]", r"\s*\\*[\"']?([^\"'\\]+)"),
    Form("token", r"(?i:bearer)\s", r"+([A-Za-z0-9._~+/=:-]{8,})"),
    Form("token", r"eyJ[A-Za-z0-9_-]{6}", r"[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){1,4}"),
    Form("token", r"(?:gh[pousr]_|github_pat_)", r"[A-Za-z0-9_]{16,}"),
    Form("token", r"gl(?:pat|ptt|dt|rt|cbt|agent|ft|soat)-", r"[\w.-]{16,}"),
    Form("token", r"xox[a-z]-", r"[\w-]{8,}"),
    Form("token", r"xapp-", r"[\w-]{8,}"),
    Form("token", r"hooks\.slack\.com/", r"(?:services|workflows)/(\S+)"),
    Form("token", r"(?:ya29\.|1//0)", r"[\w-]{16,}"),
    Form(
        "token",
        r"(?:npm_|hvs\.|hvb\.|dop_v1_|pypi-|shpat_|sq0atp-|sq0csp-)",
        r"[\w-]{16,}",
    ),
    Form("token", r"SG\.", r"[\w-]{16,}\.[\w-]{16,}"),
    Form("token", r":[A-Za-z0-9_-]{35}", "", r"\b\d{8,10}"),
)

_KEYS = (
    Form("key", r"(?:AKIA|ASIA|ABIA|ACCA)", r"[A-Z0-9]{16}"),
    Form("key", r"AIza", r"[\w-]{35}"),
    Form("key", r"[rsp]k_(?:live|test)_", r"[A-Za-z0-9]{8,}"),
    Form("key", r"sk-", r"[A-Za-z0-9_-]{20,}"),
    Form(
        "key",
        r"PRIVATE KEY",
        r"(?: BLOCK)?-----(.*?)(?:-----END|$)",
        r"-----BEGIN [A-Z0-9 ]*",
    ),
    Form("key", r"\$(?:1|2[abxy]|5|6|7|y|gy|apr1|argon2i?d?|scrypt)\$", r"[^\s:\"']+"),
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
        r"[?&;][\w.%\[-]*(?i:password|passwd|passphrase|secret|token|api_?key|access_?key|session|credential|signature|jwt)[\w.%-]*\]?=",
        r"([^&\s\"'#]+)",
    ),
    Form(
        "url",
        r"[?&;](?:[\w.%-]*[_.%\[-])?(?i:key|sig|auth|sid|otp|pin|pass|pwd|pw|hash|code)\]?=",
        r"([^&\s\"'#]+)",
    ),
)

_USERS = (
    # sshd
    Form(
        "user",
        r"(?i:invalid|illegal|nonexistent) (?i:user|login|account)",
        r"(?: ?:)? (.*?)" + _SSHD_END,
    ),
    Form(
        "user",
        r"Change of username or service not allowed: ",
        r"\((.*?),[\w-]+\) -> \((.*?),[\w-]+\)",
    ),
    # PAM
    Form("user", r"check pass; user \(", r"(.*)\) unknown"),
    Form("user", r"bad username \[", r"(.*)\]"),
    Form("user", r"error retrieving information about user ", r"(.*)"),
    Form(
        "user",
        r"pam_(?:sss|winbind|ldap|krb5|radius|tacplus|duo|mysql|pgsql|script)",
        r"\S* authentication failure;.* user=(.*)",
    ),
    Form("user", r"\([Uu]ser not known", "", r"received for user (.*): \d+ "),
    Form("user", r"acct=", r"\"?([^\s\"]+)\"?.* res=(?:failed|0)"),
    # login, su, sudo, and whoever speaks like them
    Form("user", r"FAILED LOGIN ", r".*?FOR [`'\"]?(.*?)[`'\"]?(?:, |$)"),
    Form("user", r"LOGIN FAILURE", r"S? (?:ON|FROM) [^\s,]+, (.*)"),
    Form("user", r"(?i:invalid password for) ", r"[`'\"](.*?)[`'\"](?: |$)"),
    Form("user", r"No passwd entry for user ", r"[`'\"]?(.*?)[`'\"]?$"),
    Form(
        "user",
        r"(?i:unknown|no such) (?i:user|username|login|account|role)",
        r"(?: ?:)? [\"'`<\[(]?(.+?)" + _UNTIL_QUOTE + r"(?: from .*| \(.*| in .*)?$",
    ),
    Form(
        "user",
        r" (?i:does(?: not|n't) exist|(?:was |is )?not found|is (?:unknown|not known))",
        "",
        r"(?i:user|role|account)(?: name)?:? [\"'`\[(]?(.*?)" + _UNTIL_QUOTE,
    ),
    Form(
        "user",
        r"(?i:(?:authentication|login|logon) (?:failed|failure) for) ",
        r"(?i:(?:user|account|login|username):? )[\"'`\[(<]?(.*?)"
        + _UNTIL_QUOTE
        + r"(?: from .*| \(.*|, .*)?$",
    ),
    Form(
        "user",
        r"(?i:(?:failed login|login failed|failed authentication attempt) for"
        r"|(?:invalid|non-existent) login as) ",
        r"(.*?)(?: from .*| against .*| \(.*)?$",
    ),
    Form("user", r"(?i:login failed: )", r"'?(.*?)'? \(Remote IP"),
    Form("user", r"(?i:username or password error for user: )", r"(.*)"),
    # web servers: the user of a request that was refused
    Form(
        "user",
        r"\" 401 ",
        "",
        r"(?:^[0-9A-Fa-f:.]{7,} [^ -]\S* | - )(.+?) \[\d\d?/\w{3}/\d{4}:[^\]]*\] "
        r"\"(?:[^\"\\]|\\.)*",
    ),
    # databases
    Form("user", r"Access denied for user ", r"'(.*?)'@'"),
    Form("user", r"authentication failed for user \"", r"((?:[^\"]|\"\")*)"),
    Form("user", r"no pg_hba.conf entry for ", r".*user \"((?:[^\"]|\"\")*)\""),
    Form("user", r"UserNotFound", "", r"\"principalName\":\"(.*?)\".*"),
    Form("user", r"Could not find user ", r"[\"'\\]*(.*?)(?:[\"'\\@]|$)"),
    # mail
    Form("user", r"authentication failed", r".*sasl_username=(.*)"),
    Form("user", r"auth failure: \[user=", r"(.*?)\] \[service="),
    Form(
        "user",
        r"(?:auth failed|unknown user|[Aa]uthentication failed)",
        r".*?user=<(.*?)>,",
    ),
    Form(
        "user",
        r"\): (?:[Uu]nknown user|[Uu]ser not found"
        r"|pam_authenticate\(\) failed: [Uu]ser not known)",
        "",
        r"\b[a-z-]+\((.*?),[0-9A-Fa-f.:]+(?:,<[^>]*>)?",
    ),
    Form("user", r"Incorrect authentication data \(set_id=", r"(.*?)\)(?: |$|:)"),
    Form("user", r"badlogin: ", r"\S+ (?:\[\S+\] )?\S+ (.*?) (?:SASL|\[)"),
    Form("user", r"LOGIN FAILED, ", r".*?user=(.*?), ip="),
    # file transfer, file sharing, network access
    Form("user", r"\] FAIL LOGIN: ", "", r"\[([^\[]*)"),
    Form("user", r": no such user found", "", r"USER (.*?)"),
    Form("user", r"NO_SUCH_USER", "", r"user \[[^\]]*\]\\\[(.*?)\] at .*"),
    Form("user", r"Login incorrect", r"[^\[]*: \[(.*?)\] \(from client"),
    Form("user", r"(?:CLIENT_NOT_FOUND: |Client not found: )", r"(\S+)"),
)

FORMS = _PASSWORDS + _TOKENS + _KEYS + _URLS + _USERS
