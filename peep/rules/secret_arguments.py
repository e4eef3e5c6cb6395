r"""Secrets that are arguments of programs, as sudo, cron, audit and shells tell them.

A command line is known by a program's name. Its arguments end at a pipe or a semicolon,
or at the end of the line.
"""

from peep.rules.forms import NAMES, WORD, Form

_BEFORE = r"(?:^|[^\w.])"  # in front of a program's name
_ARGS = r"[^|;]*?\s"
_SECRET = r"[= \t]*" + WORD
# Up to the end of a command, where it is nearly all secret.
_ALL = r"\s([^|;]*)"


def _option(programs: str, option: str, *, attached: bool = True) -> Form:
    """Return a form of programs whose option has a secret behind it, or in it."""
    gap = r"[= \t]*" if attached else r"[= \t]+"
    return Form(
        "password",
        rf"(?:{programs})[\w.-]{{0,16}}[ \t]",
        r"(?:[^|;]*?\s)??" + option + gap + WORD,
        _BEFORE,
    )


ARGUMENTS = (
    # --password …, -token …
    Form(
        "password",
        # Not -psecret: that is a password by itself, and what follows an option.
        r"(?:--[\w-]{0,32}|-)(?i:password|passwd|passphrase|token|secret|api-?key"
        r"|(?:access|account|auth|secret|private)-?key|pass|storepass|keypass|bearer)"
        r"[ \t]",
        r"[ \t]*" + WORD,
        r"(?:^|[\s\"'(])",
    ),
    _option("mysql|mariadb|mycli|xtrabackup", r"-p"),
    Form("password", r"mysqladmin[ \t]", r"[^|;]*?password\s+" + WORD),
    _option("sshpass", r"-p"),
    _option("mongo|rdesktop|useradd|usermod|cqlsh|ncftp|doveadm|twine", r"-p"),
    _option("plink|pscp|psftp", r"-pw", attached=False),
    Form("password", r"[ \t]login[ \t]", r"[^|;]*?\s-p" + _SECRET),
    _option("redis-cli", r"-a"),
    _option("https?", r"(?:-a|--auth)[= \t]+[^\s:]+:", attached=True),
    # of -x -w …, -xw …, -w… the first w
    _option("ldap(?:search|modify|add|delete|whoami|passwd|compare)", r"-[a-zA-Z]*?w"),
    _option("ldappasswd", r"-[as]"),
    _option("kadmin|kinit", r"-w"),
    Form(
        "password",
        r"[ \t]-pw[ \t]",
        WORD,
        r"(?:cpw|change_password|ank|addprinc)[^|;]*?",
    ),
    _option("sqlcmd|ipmitool|mosquitto_|unzip|zip|bcp|tsql|isql|fisql", r"-P"),
    _option("7z|7za|7zr|rar|unrar", r"-h?p"),
    Form(
        "password",
        r"snmp(?:walk|get|set|bulk|trap|table|inform|status|test|df|translate)",
        r"\w*\s[^|;]*?\s?-[cAX][ \t]*"
        + WORD
        + r"(?:[^|;]*?\s-[AX][ \t]*"
        + WORD
        + ")?",
    ),
    Form("password", r"htpasswd[ \t]", r"+-\w*b\w*\s+\S+\s+\S+\s+" + WORD),
    Form("password", r"htpasswd[ \t]", r"+-\w*n\w*\s+\S+\s+" + WORD),
    Form("password", r"(?:mkpasswd|wpa_passphrase|openssl passwd)", _ALL),
    Form("password", r"openssl[ \t]", r"[^|;]*?\s-[kK]\s+" + WORD),
    Form("password", r"pass:", r"(\S+)", r"-(?:pass|passin|passout|k)\s+"),
    Form("password", r"expect[ \t]{1,4}-c[ \t]", r"(.*)"),
    # what is piped, or stands where a file would
    Form(
        "password",
        r"\|[ \t]{0,4}(?:sudo[ \t]{1,4})?(?:[^ \t\n]*/)?"
        r"(?:chpasswd|passwd|cryptsetup|sudo|gpg2?|openssl)",
        "",
        r"(?:echo|printf)\s+(?:-\w+\s+)*(.+?)\s*",
    ),
    Form("password", r"<<<", r"\s*" + WORD),
    Form("password", r"<\((?:echo|printf)[ \t]", r"([^)]*)"),
    # those that have their own words before it
    Form(
        "password",
        r"(?:setenv[ \t]{1,4}[^ \t\n]{0,32}" + NAMES + r"[^ \t\n]{0,16}"
        r"|(?i:bindpw|rootpw|requirepass|masterauth|masterpass|user_pass)"
        r"|(?i:security-key|preshared-key|snmp-server community|enable secret)"
        r"|iwconfig [^ \t\n]+ key|vault login|redis-cli[^|;\n]{0,64} auth"
        r"|(?:rabbitmqctl (?:add_user|change_password|authenticate_user)"
        r"|samba-tool user (?:create|add)|net rpc password"
        r"|composer config[ \t][^ \t\n]*http-basic[^ \t\n]*)[ \t]{1,4}[^ \t\n]+)[ \t]",
        r"\s*" + WORD,
    ),
    Form(
        "password",
        r"(?:nmcli|rclone|pdbedit)[ \t]",
        r"(?:[^|;]*?\s)??(?:password|pass|secret)\s+" + WORD,
    ),
    Form("password", r"\"(?i:auth|hello|setuser)\"", r"(.*)"),
    Form("password", r"aws configure set \S*(?:secret|token)\S* ", WORD),
    Form("password", r"--from-literal[= ]", r"[^\s=]+=" + WORD),
    # user:password, user%password, user,password, user/password
    Form(
        "password",
        r"[ \t](?:-u|--user|--proxy-user|-U)",
        r"[ =]?[\"']?[^\s:\"']+:" + WORD,
    ),
    Form(
        "password",
        r"[ \t](?:-u|--user|--proxy-user|-U)",
        r"[ =]?(?:'[^\s:\"']+:((?:[^']|'\\'')*)|\"[^\s:\"']+:((?:[^\"\\]|\\.)*))",
    ),
    Form("password", r"[ \t](?:-U|--user)", r"[ =]?[\"']?[^\s%\"']+%" + WORD),
    Form("password", r"lftp[ \t]", r"[^|;]*?-u[ \t]*[^\s,]+," + WORD),
    Form("password", r"[ \t]/p(?:ass(?:word)?)?:", r"(\S+)"),
    Form(
        "password",
        r"(?:sqlplus|sqlldr|expdp|impdp|rman|thin:|ORA-\d{5})",
        r"[^/]*?[\w$#]+/([^\s/]+)@",
    ),
    Form("token", r"curl[ \t]", _ARGS + r"(?:-b|--cookie)[= \t]*" + WORD),
    # audit(8): each argument in quotes of its own, or all of them in hexadecimal
    Form(
        "password",
        r" a0=\"",
        r"(?:[^\"]*/)?(?:mysql|mariadb|curl|wget|redis-cli|ldap|sshpass|mongo|psql|smb"
        r"|docker|podman|htpasswd|openssl|echo|chpasswd|sqlcmd|7z|zip|unzip|snmp)[^\"]*\""
        r"(.*)",
    ),
    Form(
        "password",
        r" a\d{1,3}=\"--?(?i:[\w-]{0,32}(?:pass|secret|token|key))",
        r"[^\"=]*\" a\d+=\"([^\"]*)",
    ),
    Form("password", r"(?:proctitle|cmd|data|acct)=[0-9A-F]{8}", r"[0-9A-F]*"),
)
